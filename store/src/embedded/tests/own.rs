//! Promises of the embedded store alone: the lock, restarts, the shared fsync, and its bounds.

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use ::model::Revision;
use futures_util::future::join_all;

use super::*;
use crate::{Key, WatchError, layout};

fn key(name: &str) -> Key {
    layout::edge(&name.parse().unwrap())
}

async fn done(store: &Embedded, transaction: Transaction) -> Revision {
    match store.commit(transaction).await.unwrap() {
        Commit::Done(revision) => revision,
        Commit::Conflict => panic!("conflict"),
    }
}

async fn names(store: &Embedded) -> Vec<String> {
    let (entries, _) = crate::entries(store, &layout::edges()).await.unwrap();
    let name = |entry: crate::Entry| entry.key.segments().last().map(str::to_owned);
    entries.into_iter().filter_map(name).collect()
}

#[tokio::test]
async fn one_process_at_a_time_and_the_next_one_finds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let first = Embedded::open(&path).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = Embedded::open(&path).await;
    assert_eq!(second.unwrap_err(), StoreError::Locked(path.clone()));
    let revision = done(&first, Transaction::new().put(key("a"), "1")).await;
    // A watch and a page that are still held do not keep the lock.
    let mut watch = first.watch(&layout::public(), revision).await.unwrap();
    let page = first.read(&(&key("a")).into(), None, 1).await.unwrap();
    first.close().await;
    assert_eq!(watch.next().await, Err(WatchError::Closed));
    let again = Embedded::open(&path).await.unwrap();
    let found = again.read(&(&key("a")).into(), None, 1).await.unwrap();
    assert_eq!(found, page);
    assert!(done(&again, Transaction::new().put(key("a"), "1")).await > revision);
}

#[tokio::test]
async fn leases_end_with_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Embedded::open(&path).await.unwrap();
    let lease = store.grant_lease(MAX_LEASE_TTL).await.unwrap();
    let both = Transaction::new()
        .put_leased(key("leased"), "1", lease)
        .put(key("plain"), "1");
    let before = done(&store, both).await;
    store.close().await;
    let store = Embedded::open(&path).await.unwrap();
    assert_eq!(names(&store).await, ["plain"]);
    assert_eq!(
        store.keep_alive(lease).await,
        Err(StoreError::LeaseGone(lease))
    );
    // Who watched before the restart is told to list anew.
    let mut watch = store.watch(&layout::public(), before).await.unwrap();
    assert!(matches!(watch.next().await, Err(WatchError::Compacted { oldest }) if oldest > before));
}

#[tokio::test]
async fn many_commits_share_a_sync() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path().join("store")).await.unwrap();
    let commit = |at: usize| done(&store, Transaction::new().put(key(&at.to_string()), "x"));
    let mut revisions = join_all((0..500).map(commit)).await;
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), 500);
    let counters = store.counters();
    assert_eq!(counters.commits, 500);
    assert!(counters.syncs < 100, "{counters:?}");
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait_and_is_counted() {
    let store = Embedded::in_memory().unwrap();
    let commit = |at: usize| done(&store, Transaction::new().put(key(&at.to_string()), "x"));
    join_all((0..2 * QUEUE).map(commit)).await;
    assert_eq!(names(&store).await.len(), 2 * QUEUE);
    assert!(store.counters().queue_full > 0);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let store = Embedded::in_memory().unwrap();
    store.close().await;
    let closed = StoreError::Closed;
    let put = store.commit(Transaction::new().put(key("a"), "1")).await;
    assert_eq!(put, Err(closed.clone()));
    let read = store.read(&(&key("a")).into(), None, 1).await;
    assert_eq!(read, Err(closed.clone()));
    let watch = store.watch(&layout::public(), Revision::ZERO).await;
    assert_eq!(watch.unwrap_err(), closed.clone());
    assert_eq!(store.grant_lease(MIN_LEASE_TTL).await, Err(closed));
}

#[tokio::test]
async fn a_revision_to_come_is_refused() {
    let store = Embedded::in_memory().unwrap();
    let newest = done(&store, Transaction::new().put(key("a"), "1")).await;
    let refused = StoreError::FutureRevision {
        wanted: newest.next(),
        newest,
    };
    let read = store
        .read(&(&key("a")).into(), Some(newest.next()), 1)
        .await;
    assert_eq!(read, Err(refused.clone()));
    let watch = store.watch(&layout::public(), newest.next()).await;
    assert_eq!(watch.unwrap_err(), refused);
}

#[tokio::test]
async fn a_lease_has_so_many_keys_and_no_more() {
    let store = Embedded::in_memory().unwrap();
    let lease = store.grant_lease(MAX_LEASE_TTL).await.unwrap();
    let put = |at: usize| Transaction::new().put_leased(key(&at.to_string()), "x", lease);
    join_all((0..5000).map(|at| done(&store, put(at)))).await;
    assert_eq!(
        store.commit(put(5000)).await,
        Err(StoreError::LeaseFull(lease))
    );
    // A key that it has already counts once.
    done(&store, put(7)).await;
    done(&store, Transaction::new().delete(key("7"))).await;
    done(&store, put(5000)).await;
    store.revoke_lease(lease).await.unwrap();
    assert_eq!(names(&store).await, [""; 0]);
}

#[tokio::test]
async fn pages_of_large_values_end_early() {
    let store = Embedded::in_memory().unwrap();
    for at in 0..8 {
        let large = vec![0; crate::MAX_TRANSACTION_BYTES / 3];
        done(&store, Transaction::new().put(key(&at.to_string()), large)).await;
    }
    let page = store
        .read(&(&layout::edges()).into(), None, 100)
        .await
        .unwrap();
    assert_eq!(page.entries.len(), 2);
    assert_eq!(names(&store).await.len(), 8);
}

/// What was there then is found in the changes since, and must wait for its turn behind what was never changed.
#[tokio::test]
async fn an_old_page_that_ends_early_leaves_nothing_out() {
    let store = Embedded::in_memory().unwrap();
    for at in 0..4 {
        let large = vec![0; crate::MAX_TRANSACTION_BYTES / 3];
        done(&store, Transaction::new().put(key(&at.to_string()), large)).await;
    }
    let then = done(&store, Transaction::new().put(key("z"), "old")).await;
    done(&store, Transaction::new().delete(key("z"))).await;
    let (mut found, mut next) = (Vec::new(), Some((&layout::edges()).into()));
    while let Some(range) = next {
        let page = store.read(&range, Some(then), 100).await.unwrap();
        found.extend(page.entries.into_iter().map(|entry| entry.key));
        next = page.next;
    }
    assert_eq!(found, ["0", "1", "2", "3", "z"].map(key));
}

#[tokio::test]
async fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    std::fs::write(path("garbage"), vec![7; 100_000]).unwrap();
    for bad in ["garbage", "", "no/such/folder"] {
        let opened = Embedded::open(path(bad)).await;
        assert!(
            matches!(opened, Err(StoreError::Open { .. })),
            "{bad}: {opened:?}"
        );
    }
    let newer = Database::create(path("newer")).unwrap();
    let txn = newer.begin_write().unwrap();
    let meta: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("meta");
    txn.open_table(meta).unwrap().insert("format", 2).unwrap();
    txn.commit().unwrap();
    drop(newer);
    let opened = Embedded::open(path("newer")).await.unwrap_err();
    assert_eq!(opened, StoreError::Format { found: 2, known: 1 });
}
