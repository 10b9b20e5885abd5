//! The task behind a replica: list, watch, and try again for as long as it takes.

use std::{sync::Arc, time::Duration};

use model::Revision;
use rand::Rng;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Fold, Seed, Standing, State,
    difference::{self, Known},
};
use crate::{
    Batch, Change, Entry, Event, Prefix, SharedStore, StoreError, Watch, WatchError, typed,
};

/// Pauses between tries double from one to the other, each shortened by chance, so that many replicas do not come back at once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

struct Follower<F> {
    store: SharedStore,
    prefix: Prefix,
    state: Arc<State<F>>,
    known: Known,
    /// Where the watch goes on; `None` when only a list helps.
    at: Option<Revision>,
    pause: Duration,
}

/// Where a replica stands before it has heard of its store.
#[derive(Default)]
pub(super) struct Begins {
    pub(super) known: Known,
    pub(super) revision: Revision,
    pub(super) standing: Standing,
}

impl From<&Option<Seed>> for Begins {
    fn from(seed: &Option<Seed>) -> Self {
        let Some(seed) = seed else {
            return Self::default();
        };
        let now = Instant::now();
        Self {
            known: known(&seed.entries),
            revision: seed.revision,
            standing: Standing {
                synced: true,
                lost_since: Some(now.checked_sub(seed.age).unwrap_or(now)),
                ..Standing::default()
            },
        }
    }
}

fn known(entries: &[Entry]) -> Known {
    entries
        .iter()
        .map(|entry| (entry.key.clone(), entry.modified))
        .collect()
}

pub(super) async fn run<F: Fold>(
    store: SharedStore,
    prefix: Prefix,
    state: Arc<State<F>>,
    known: Known,
    stop: CancellationToken,
) {
    let follower = Follower {
        store,
        prefix,
        state: state.clone(),
        known,
        at: None,
        pause: FIRST_PAUSE,
    };
    let _ = stop.run_until_cancelled(follower.keep_following()).await;
    state
        .standing
        .send_modify(|standing| standing.stopped = true);
}

impl<F: Fold> Follower<F> {
    async fn keep_following(mut self) {
        loop {
            let error = self.follow().await;
            let at = self.at.unwrap_or_default();
            tracing::warn!(prefix = %self.prefix, %at, %error, "the replica lost its store and tries again");
            self.state.standing.send_modify(|standing| {
                standing.lost_since.get_or_insert_with(Instant::now);
            });
            sleep(shortened(self.pause)).await;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Until something fails.
    async fn follow(&mut self) -> StoreError {
        let mut watch = match self.begin().await {
            Ok(watch) => watch,
            Err(error) => return self.give_up(error),
        };
        self.state
            .standing
            .send_modify(|standing| standing.lost_since = None);
        let mut wanted = self.state.wanted.subscribe();
        wanted.mark_changed();
        loop {
            let next = tokio::select! {
                next = watch.next() => next,
                // The sender lives in `state`, so this cannot fail.
                _ = wanted.changed() => {
                    watch.want(*wanted.borrow_and_update());
                    continue;
                }
            };
            match next {
                Ok(batch) => self.take(batch),
                Err(WatchError::Closed) => return StoreError::Closed,
                Err(WatchError::Compacted { oldest }) => {
                    return self.give_up(StoreError::Compacted { oldest });
                }
            }
        }
    }

    async fn begin(&mut self) -> Result<Watch, StoreError> {
        let at = match self.at {
            Some(at) => at,
            None => self.list().await?,
        };
        self.store.watch(&self.prefix, at).await
    }

    fn give_up(&mut self, error: StoreError) -> StoreError {
        if matches!(
            error,
            StoreError::Compacted { .. } | StoreError::FutureRevision { .. }
        ) {
            self.at = None;
        }
        error
    }

    async fn list(&mut self) -> Result<Revision, StoreError> {
        let (entries, revision) = typed::entries(&*self.store, &self.prefix).await?;
        let known = known(&entries);
        let now = *self.state.revision.borrow();
        if self.state.standing.borrow().synced && revision >= now {
            let events = difference::between(&self.known, entries, revision);
            self.apply(&events, revision);
            self.state
                .standing
                .send_modify(|standing| standing.relists += 1);
        } else {
            self.reset(entries, revision);
        }
        self.known = known;
        self.at = Some(revision);
        Ok(revision)
    }

    fn reset(&self, entries: Vec<Entry>, revision: Revision) {
        self.state.write().reset(entries);
        self.state.revision.send_replace(revision);
        self.state
            .standing
            .send_modify(|standing| standing.synced = true);
    }

    fn take(&mut self, batch: Batch) {
        for event in &batch.events {
            match &event.change {
                Change::Put(entry) => self.known.insert(entry.key.clone(), entry.modified),
                Change::Delete(key) => self.known.remove(key),
            };
        }
        self.apply(&batch.events, batch.revision);
        self.at = Some(batch.revision);
        self.pause = FIRST_PAUSE;
    }

    /// All of it under one lock, so that no reader sees half a commit.
    fn apply(&self, events: &[Event], revision: Revision) {
        if !events.is_empty() {
            let mut fold = self.state.write();
            events.iter().for_each(|event| fold.apply(event));
        }
        self.state.revision.send_replace(revision);
    }
}

fn shortened(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}
