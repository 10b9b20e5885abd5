//! Replicas over the backend: what they rely on is there.

use std::{collections::BTreeMap, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{PATIENCE, Subject, all, done, elsewhere, key, prefix, put, row};
use crate::{Change, Entry, Event, Fold, Key, Replica, SharedStore, Transaction};

#[derive(Default)]
struct Copied(BTreeMap<Key, Entry>);

impl Fold for Copied {
    fn reset(&mut self, entries: Vec<Entry>) {
        self.0 = entries
            .into_iter()
            .map(|entry| (entry.key.clone(), entry))
            .collect();
    }

    fn apply(&mut self, event: &Event) {
        match &event.change {
            Change::Put(entry) => self.0.insert(entry.key.clone(), entry.clone()),
            Change::Delete(key) => self.0.remove(key),
        };
    }
}

fn start(store: &SharedStore) -> Arc<Replica<Copied>> {
    let cancel = CancellationToken::new();
    Replica::start(store.clone(), prefix(), Copied::default(), cancel)
}

pub async fn a_replica_follows(subject: &dyn Subject) {
    let store = subject.fresh().await;
    put(&store, "a", "1").await;
    put(&store, "b", "1").await;
    let replica = start(&store);
    assert!(replica.synced().await);
    put(&store, "b", "2").await;
    put(&store, "c", "1").await;
    let last = done(&store, Transaction::new().delete(key("a"))).await;
    assert!(replica.reached(last, PATIENCE).await);
    let copied: Vec<_> = replica.read(|copied| copied.0.values().map(row).collect());
    assert_eq!(copied, all(&store).await);
}

/// A token names the revision of its issue, and that may be a change an edge does not see.
pub async fn a_replica_passes_what_does_not_concern_it(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let replica = start(&store);
    assert!(replica.synced().await);
    let revision = done(&store, Transaction::new().put(elsewhere(), "x")).await;
    assert!(replica.reached(revision, PATIENCE).await);
}
