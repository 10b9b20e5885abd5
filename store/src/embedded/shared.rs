//! What the writer publishes and everyone else reads: the newest snapshot, the history, and the revision both stand at.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::Revision;
use redb::{Database, ReadTransaction, ReadableDatabase};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Options,
    counters::Tally,
    history::{History, Record, Since},
    leases::Leases,
};
use crate::{Entry, Key, Prefix, Range, StoreError};

pub(super) struct Shared {
    published: Mutex<Published>,
    /// Wakes watches; the truth is in `published`.
    newest: watch::Sender<Revision>,
    pub(super) leases: Leases,
    pub(super) tally: Tally,
    pub(super) stop: CancellationToken,
}

/// Changed as one, so that a snapshot and the history that undoes it never disagree.
struct Published {
    /// `None` once the store is closed.
    snapshot: Option<Arc<ReadTransaction>>,
    history: History,
}

/// A range at one revision: the newest snapshot, and how its keys were then.
pub(super) struct View {
    pub(super) revision: Revision,
    pub(super) snapshot: Arc<ReadTransaction>,
    pub(super) undo: BTreeMap<Key, Option<Entry>>,
}

impl Shared {
    pub(super) fn new(
        database: &Database,
        revision: Revision,
        options: Options,
        stop: CancellationToken,
    ) -> Result<Self, StoreError> {
        let snapshot = database.begin_read().map_err(unavailable)?;
        Ok(Self {
            published: Mutex::new(Published {
                snapshot: Some(Arc::new(snapshot)),
                history: History::new(revision, options),
            }),
            newest: watch::Sender::new(revision),
            leases: Leases::default(),
            tally: Tally::default(),
            stop,
        })
    }

    /// Called by the writer alone, after the disk has it and before anyone is told.
    pub(super) fn publish(&self, snapshot: ReadTransaction, records: Vec<Record>) {
        let mut published = self.published();
        published.snapshot = Some(Arc::new(snapshot));
        for record in records {
            published.history.push(record);
        }
        let newest = published.history.newest();
        drop(published);
        self.newest.send_replace(newest);
    }

    /// Lets go of the file.
    pub(super) fn close(&self) {
        self.stop.cancel();
        self.published().snapshot = None;
    }

    pub(super) fn newest(&self) -> Revision {
        self.published().history.newest()
    }

    pub(super) fn changes(&self) -> watch::Receiver<Revision> {
        self.newest.subscribe()
    }

    pub(super) fn view(&self, range: &Range, at: Option<Revision>) -> Result<View, StoreError> {
        let published = self.published();
        let snapshot = published.snapshot.clone().ok_or(StoreError::Closed)?;
        let history = &published.history;
        let revision = at.unwrap_or_else(|| history.newest());
        if revision > history.newest() {
            return Err(StoreError::FutureRevision {
                wanted: revision,
                newest: history.newest(),
            });
        }
        if revision < history.oldest() {
            self.tally.compacted.add(1);
            return Err(StoreError::Compacted {
                oldest: history.oldest(),
            });
        }
        Ok(View {
            revision,
            snapshot,
            undo: history.undo(range, revision),
        })
    }

    pub(super) fn since(&self, prefix: &Prefix, after: Revision) -> Since {
        self.published().history.since(prefix, after)
    }

    /// Nothing panics while it holds this lock; were it so, the state is still whole between two fields' changes.
    fn published(&self) -> MutexGuard<'_, Published> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared at revision {}", self.newest())
    }
}

/// Every error of the file before a commit: nothing was changed.
pub(super) fn unavailable(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Unavailable(error.into().to_string())
}
