//! Reads: a range, page by page, as it was at one revision.

use super::{Subject, all, done, elsewhere, key, newest, prefix, put, row, rows};
use crate::{Range, SharedStore, StoreError, Transaction};

pub async fn a_prefix_reads_its_own_keys_in_order(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let mut transaction = Transaction::new().put(elsewhere(), "x");
    for other in [
        "public/edges/a",
        "public/edge-/a",
        "public/edge.a",
        "public/edge0",
    ] {
        transaction = transaction.put(other.parse::<crate::Key>().unwrap(), "x");
    }
    for own in ["b", "a", "a/b", "a-", "*.a", "Z"] {
        transaction = transaction.put(key(own), "1");
    }
    done(&store, transaction).await;
    let found: Vec<_> = all(&store).await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(found, ["*.a", "Z", "a", "a-", "a/b", "b"]);
    let one = store.read(&(&key("a")).into(), None, 10).await.unwrap();
    assert_eq!((one.entries.len(), one.next), (1, None));
}

pub async fn pages_show_one_revision(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let mut transaction = Transaction::new();
    for at in 0..30 {
        transaction = transaction.put(key(&format!("{at:02}")), "old");
    }
    done(&store, transaction).await;
    let then = all(&store).await;
    let mut page = store.read(&(&prefix()).into(), None, 4).await.unwrap();
    let revision = page.revision;
    let (mut found, mut pages) = (Vec::new(), 1);
    loop {
        assert!(page.entries.len() <= 4 && page.revision == revision);
        found.extend(page.entries.iter().map(row));
        let Some(range) = page.next else { break };
        disturb(&store, pages).await;
        page = store.read(&range, Some(revision), 4).await.unwrap();
        pages += 1;
    }
    assert_eq!(found, then);
    assert!(pages >= 8);
}

/// Puts, changes and deletes before and behind the page being read.
async fn disturb(store: &SharedStore, at: usize) {
    let (before, behind, gone) = (at, 29 - at, 15 + at);
    put(store, &format!("{before:02}"), "new").await;
    put(store, &format!("{behind:02}"), "new").await;
    put(store, &format!("{behind:02}-between"), "new").await;
    done(store, Transaction::new().delete(key(&format!("{gone:02}")))).await;
}

pub async fn a_revision_can_be_read_again(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let (mut past, mut expected) = (Vec::new(), Vec::new());
    for (name, value) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1")] {
        past.push(put(&store, name, value).await);
        expected.push(all(&store).await);
    }
    past.push(done(&store, Transaction::new().delete(key("a"))).await);
    expected.push(rows(&[("b", "1"), ("c", "1")]));
    for (revision, expected) in past.into_iter().zip(expected) {
        let range = Range::from(&prefix());
        let page = store.read(&range, Some(revision), 100).await.unwrap();
        assert_eq!(page.revision, revision);
        let found: Vec<_> = page.entries.iter().map(row).collect();
        assert_eq!(found, expected);
    }
}

pub async fn a_forgotten_revision_is_said_so(subject: &dyn Subject) {
    let store = subject.fresh_to_forget().await;
    let past = put(&store, "a", "1").await;
    put(&store, "a", "2").await;
    subject.forget(&store).await;
    let range = Range::from(&prefix());
    let read = store.read(&range, Some(past), 10).await;
    assert!(matches!(read, Err(StoreError::Compacted { oldest }) if oldest > past));
    let now = newest(&store).await;
    assert!(store.read(&range, Some(now), 10).await.is_ok());
}
