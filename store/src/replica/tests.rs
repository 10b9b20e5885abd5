use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    Change, Commit, Embedded, Key, LeaseId, Options, Page, Range, Store, StoreError, Transaction,
    Watch, WatchError, WatchSource,
};

const LONG: Duration = Duration::from_secs(60);

/// Keys and values, and every event since the start.
#[derive(Default)]
struct Seen {
    map: BTreeMap<String, Vec<u8>>,
    events: Vec<Event>,
    resets: usize,
}

impl Fold for Seen {
    fn reset(&mut self, entries: Vec<Entry>) {
        self.resets += 1;
        let rows = entries
            .into_iter()
            .map(|e| (e.key.to_string(), e.value.to_vec()));
        self.map = rows.collect();
    }

    fn apply(&mut self, event: &Event) {
        self.events.push(event.clone());
        match &event.change {
            Change::Put(e) => self.map.insert(e.key.to_string(), e.value.to_vec()),
            Change::Delete(key) => self.map.remove(key.as_str()),
        };
    }
}

/// A store that can be cut off: reads fail, watches end.
#[derive(Debug)]
struct Cable {
    store: Embedded,
    cut: CancellationToken,
    is_cut: AtomicBool,
}

struct CutWatch(Watch, CancellationToken);

#[async_trait]
impl WatchSource for CutWatch {
    async fn next(&mut self) -> Result<crate::Batch, WatchError> {
        tokio::select! {
            biased;
            () = self.1.cancelled() => Err(WatchError::Closed),
            batch = self.0.next() => batch,
        }
    }
}

impl Cable {
    fn new(history_revisions: usize) -> Arc<Self> {
        let options = Options {
            history_revisions,
            ..Options::default()
        };
        Arc::new(Self {
            store: Embedded::in_memory_with(options).unwrap(),
            cut: CancellationToken::new(),
            is_cut: AtomicBool::new(false),
        })
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.is_cut.load(SeqCst) {
            Err(StoreError::Unavailable("cut".into()))
        } else {
            Ok(())
        }
    }

    fn cut(&self) {
        self.is_cut.store(true, SeqCst);
        self.cut.cancel();
    }

    fn mend(&self) {
        self.is_cut.store(false, SeqCst);
    }
}

#[async_trait]
impl Store for Cable {
    async fn read(&self, r: &Range, at: Option<Revision>, n: usize) -> Result<Page, StoreError> {
        self.check()?;
        self.store.read(r, at, n).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<Commit, StoreError> {
        self.store.commit(transaction).await
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Watch, StoreError> {
        self.check()?;
        let watch = self.store.watch(prefix, after).await?;
        // After the first cut watches stay.
        let cut = match self.cut.is_cancelled() {
            true => CancellationToken::new(),
            false => self.cut.clone(),
        };
        Ok(Watch::new(CutWatch(watch, cut)))
    }

    async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.store.grant_lease(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.keep_alive(lease).await
    }

    async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.revoke_lease(lease).await
    }
}

fn key(name: &str) -> Key {
    format!("public/edge/{name}").parse().unwrap()
}

async fn done(store: &dyn Store, transaction: Transaction) -> Revision {
    match store.commit(transaction).await.unwrap() {
        Commit::Done(revision) => revision,
        Commit::Conflict => panic!("conflict"),
    }
}

async fn put(store: &dyn Store, name: &str, value: &'static str) -> Revision {
    done(store, Transaction::new().put(key(name), value)).await
}

fn start(store: Arc<Cable>) -> Arc<Replica<Seen>> {
    let prefix = crate::layout::public();
    Replica::start(store, prefix, Seen::default(), CancellationToken::new())
}

fn names(replica: &Replica<Seen>) -> String {
    replica.read(|seen| {
        seen.map
            .keys()
            .map(|k| &k["public/edge/".len()..])
            .collect()
    })
}

#[tokio::test(start_paused = true)]
async fn follows_from_the_list_on() {
    let store = Cable::new(100);
    put(&*store, "a", "1").await;
    let replica = start(store.clone());
    assert!(replica.synced().await && replica.is_synced());
    assert_eq!(names(&replica), "a");
    let mut changes = replica.changes();
    changes.mark_unchanged();
    let both = Transaction::new().put(key("b"), "1").delete(key("a"));
    let revision = done(&*store, both).await;
    let woken = changes.wait_for(|now| *now == revision);
    assert!(tokio::time::timeout(LONG, woken).await.is_ok());
    assert_eq!(names(&replica), "b");
    assert_eq!(replica.revision(), revision);
}

#[tokio::test(start_paused = true)]
async fn a_revision_of_another_prefix_is_reached_and_a_later_one_is_not() {
    let store = Cable::new(100);
    let replica = start(store.clone());
    let account: Key = "account/a/profile".parse().unwrap();
    let revision = done(&*store, Transaction::new().put(account, "x")).await;
    assert!(replica.reached(revision, LONG).await);
    assert!(!replica.reached(revision.next(), LONG).await);
}

#[tokio::test(start_paused = true)]
async fn stays_as_it_is_while_the_store_is_lost_and_catches_up_after() {
    let store = Cable::new(100);
    put(&*store, "a", "1").await;
    let replica = start(store.clone());
    assert!(replica.synced().await);
    store.cut();
    let revision = put(&*store, "b", "1").await;
    assert!(!replica.reached(revision, LONG).await);
    assert_eq!(names(&replica), "a");
    assert!(replica.lost_since().is_some());
    store.mend();
    assert!(replica.reached(revision, LONG).await);
    assert_eq!((names(&replica).as_str(), replica.relists()), ("ab", 0));
    assert!(replica.lost_since().is_none());
}

#[tokio::test(start_paused = true)]
async fn tells_the_difference_when_history_was_forgotten_meanwhile() {
    let store = Cable::new(2);
    for name in ["same", "changed", "deleted"] {
        put(&*store, name, "1").await;
    }
    let replica = start(store.clone());
    assert!(replica.synced().await);
    store.cut();
    for value in ["2", "3", "4"] {
        put(&*store, "changed", value).await;
    }
    done(&*store, Transaction::new().delete(key("deleted"))).await;
    let revision = put(&*store, "new", "1").await;
    store.mend();
    assert!(replica.reached(revision, LONG).await);
    replica.read(|seen| {
        let events: Vec<_> = seen.events.iter().map(|e| e.key().to_string()).collect();
        assert_eq!(
            events,
            ["changed", "new", "deleted"].map(|n| key(n).to_string())
        );
        assert_eq!(seen.map[key("changed").as_str()], b"4");
        assert_eq!(seen.resets, 1);
    });
    assert_eq!(replica.relists(), 1);
}

#[tokio::test]
async fn ends_with_its_owner_and_with_its_token() {
    let store = Cable::new(100);
    let cancel = CancellationToken::new();
    store.cut();
    let replica = Replica::start(
        store.clone(),
        crate::layout::public(),
        Seen::default(),
        cancel.clone(),
    );
    cancel.cancel();
    assert!(!replica.synced().await);
    let other = start(store);
    let mut standing = other.state.standing.subscribe();
    drop(other);
    while standing.changed().await.is_ok() {}
}

#[tokio::test]
async fn a_replica_with_a_seed_is_synced_at_once_and_catches_up_by_a_difference() {
    let cable = Cable::new(100);
    let put =
        |key: &str, value: &'static str| Transaction::new().put(key.parse::<Key>().unwrap(), value);
    for (key, value) in [
        ("public/x/a", "1"),
        ("public/x/b", "1"),
        ("public/x/c", "1"),
    ] {
        let _ = cable.store.commit(put(key, value)).await.unwrap();
    }
    let (entries, revision) = crate::entries(&cable.store, &crate::layout::public())
        .await
        .unwrap();
    let _ = cable.store.commit(put("public/x/b", "2")).await.unwrap();
    let gone = Transaction::new().delete("public/x/c".parse::<Key>().unwrap());
    let _ = cable.store.commit(gone).await.unwrap();

    cable.is_cut.store(true, SeqCst);
    let seed = Seed {
        entries,
        revision,
        age: Duration::from_secs(5),
    };
    let replica = Replica::start_from(
        cable.clone(),
        crate::layout::public(),
        Seen::default(),
        Some(seed),
        CancellationToken::new(),
    );
    assert!(replica.is_synced() && replica.lost_since().is_some());
    assert_eq!(replica.revision(), revision);
    assert_eq!(replica.read(|seen| seen.map.len()), 3);

    cable.is_cut.store(false, SeqCst);
    let newest = Revision(revision.0 + 2);
    assert!(replica.reached(newest, LONG).await);
    replica.read(|seen| {
        assert_eq!(seen.resets, 1, "the difference came as events");
        assert_eq!(seen.events.len(), 2);
        assert_eq!(seen.map.get("public/x/b"), Some(&b"2".to_vec()));
        assert!(!seen.map.contains_key("public/x/c"), "what is gone goes");
    });
}
