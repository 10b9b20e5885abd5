//! Watching a prefix: every change once, in order, or a clear word that some are missing.

use std::fmt;

use async_trait::async_trait;
use model::Revision;

use crate::Batch;

/// A running watch. Dropping it ends it.
pub struct Watch(Box<dyn WatchSource>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// The watcher was too slow, or began too far back: events before `oldest` are forgotten. Read anew, then watch from there.
    #[error("events before revision {oldest} are forgotten; read anew")]
    Compacted { oldest: Revision },
    /// The store was closed or lost. Nothing that was handed out is wrong; watch again from the last revision.
    #[error("the store was closed or lost")]
    Closed,
}

/// What a backend gives behind [`Watch`].
#[async_trait]
pub trait WatchSource: Send {
    /// Must lose nothing when the future is dropped before it is ready.
    async fn next(&mut self) -> Result<Batch, WatchError>;

    /// Somebody waits for progress up to `revision`. A backend whose progress comes by itself at once need not be told.
    fn want(&mut self, _revision: Revision) {}
}

impl Watch {
    pub fn new(source: impl WatchSource + 'static) -> Self {
        Self(Box::new(source))
    }

    /// The next batch. Batches rise in revision, hold whole commits, and leave none out; an empty one reports progress. After an
    /// error the watch is over. Safe to drop before it is ready, as in `select!`.
    pub async fn next(&mut self) -> Result<Batch, WatchError> {
        self.0.next().await
    }

    /// Says that somebody waits for progress up to `revision`, so that it is not only told every few seconds.
    pub fn want(&mut self, revision: Revision) {
        self.0.want(revision);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}
