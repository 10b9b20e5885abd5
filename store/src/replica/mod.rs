//! A watched copy of a prefix, folded into whatever shape its owner needs, that goes on when the store is lost.
//!
//! The copy is listed once, then follows the watch. When the store cannot be reached it stays as it is and tries again; when the
//! watch has forgotten too much, it lists anew and applies the difference, so the fold sees the same events as if it had been
//! there, except that a key changed many times is told once.

mod difference;
mod follow;

use std::{
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use model::Revision;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Entry, Event, Prefix, SharedStore};

/// What a replica keeps of the entries. Readers see it only between commits, never inside one.
pub trait Fold: Send + Sync + 'static {
    /// Begins anew with these entries: at the start, and when the store itself went back (a restored backup).
    fn reset(&mut self, entries: Vec<Entry>);

    fn apply(&mut self, event: &Event);
}

/// What a replica begins with when its store may be away: what was known at an earlier time.
#[derive(Clone, Debug)]
pub struct Seed {
    pub entries: Vec<Entry>,
    pub revision: Revision,
    pub age: Duration,
}

/// Follows the store for as long as it is not dropped.
pub struct Replica<F> {
    state: Arc<State<F>>,
    _stop_on_drop: DropGuard,
}

struct State<F> {
    fold: RwLock<F>,
    standing: watch::Sender<Standing>,
    /// Apart from `standing`, for those who wait for changes only.
    revision: watch::Sender<Revision>,
    /// The highest that somebody waits for.
    wanted: watch::Sender<Revision>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    synced: bool,
    stopped: bool,
    lost_since: Option<Instant>,
    relists: u64,
}

impl<F: Fold> Replica<F> {
    pub fn start(
        store: SharedStore,
        prefix: Prefix,
        fold: F,
        cancel: CancellationToken,
    ) -> Arc<Self> {
        Self::start_from(store, prefix, fold, None, cancel)
    }

    /// As [`Self::start`]. With a seed it is synced at once; what has changed since is applied, in order, when the store
    /// answers, and what is gone then goes.
    pub fn start_from(
        store: SharedStore,
        prefix: Prefix,
        mut fold: F,
        seed: Option<Seed>,
        cancel: CancellationToken,
    ) -> Arc<Self> {
        let begins = follow::Begins::from(&seed);
        if let Some(seed) = seed {
            fold.reset(seed.entries);
        }
        // Of its own, so that dropping the replica stops only the replica.
        let stop = cancel.child_token();
        let state = Arc::new(State {
            fold: RwLock::new(fold),
            standing: watch::Sender::new(begins.standing),
            revision: watch::Sender::new(begins.revision),
            wanted: watch::Sender::default(),
        });
        tokio::spawn(follow::run(
            store,
            prefix,
            state.clone(),
            begins.known,
            stop.clone(),
        ));
        Arc::new(Self {
            state,
            _stop_on_drop: stop.drop_guard(),
        })
    }

    /// Keep it short: changes wait meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&F) -> T) -> T {
        look(&self.state.read())
    }

    /// Up to which revision everything is in the fold; zero before the first list.
    pub fn revision(&self) -> Revision {
        *self.state.revision.borrow()
    }

    /// Wakes for every step of the revision; the fold is at least there then.
    pub fn changes(&self) -> watch::Receiver<Revision> {
        self.state.revision.subscribe()
    }

    /// Waits for the first list; false when the replica was stopped before it.
    pub async fn synced(&self) -> bool {
        let mut standing = self.state.standing.subscribe();
        let settled = standing.wait_for(|now| now.synced || now.stopped).await;
        settled.is_ok_and(|now| now.synced)
    }

    pub fn is_synced(&self) -> bool {
        self.state.standing.borrow().synced
    }

    /// Waits until the fold is at `revision`, but not longer than `within`; says whether it is.
    pub async fn reached(&self, revision: Revision, within: Duration) -> bool {
        let mut changes = self.changes();
        if *changes.borrow() < revision {
            self.state.want(revision);
        }
        let there = changes.wait_for(|now| *now >= revision);
        tokio::time::timeout(within, there)
            .await
            .is_ok_and(|there| there.is_ok())
    }

    /// Since when the store does not answer; what the copy says may be old since then.
    pub fn lost_since(&self) -> Option<Instant> {
        self.state.standing.borrow().lost_since
    }

    /// How often it had to list anew because the watch had forgotten too much.
    pub fn relists(&self) -> u64 {
        self.state.standing.borrow().relists
    }
}

impl<F> State<F> {
    // A fold that panicked is what it is; taking the others down with it would not mend it.
    fn read(&self) -> RwLockReadGuard<'_, F> {
        self.fold.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, F> {
        self.fold.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the follower also when it was told before: the store may have been asked too early.
    fn want(&self, revision: Revision) {
        self.wanted
            .send_modify(|wanted| *wanted = revision.max(*wanted));
    }
}

impl<F> std::fmt::Debug for Replica<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let standing = *self.state.standing.borrow();
        write!(
            f,
            "Replica at {}, {standing:?}",
            *self.state.revision.borrow()
        )
    }
}

#[cfg(test)]
mod tests;
