//! The store of one machine: a redb file, or memory for tests, behind the same code.
//!
//! One writer task takes every change in turn. While one write is being synced to the disk, the next ones wait in its queue and
//! are then written and synced together, so that many commits share one fsync; each still gets a revision of its own. What the
//! writer acknowledged is on the disk.
//!
//! The last changes are kept in memory, bounded by [`Options`]. Watches and reads of older revisions are answered from there and
//! hold no buffer of their own; what is no longer there is answered with `Compacted`. The history begins when the store is
//! opened.
//!
//! Leases live in memory and end with the process that opened the store: opening deletes every key that still hangs on one, in
//! one commit. Whoever held a lease must ask for a new one and put its keys again, as after any other loss of a lease. A lease
//! ends when the writer finds its time over, so a keep-alive that comes late but before that still counts.

mod counters;
mod history;
mod leases;
mod open;
mod read;
mod shared;
mod tables;
mod watch;
mod writer;

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use model::Revision;
use redb::Database;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    Commit, LeaseId, MAX_LEASE_TTL, MIN_LEASE_TTL, Page, Prefix, Range, Store, StoreError,
    Transaction, TransactionError, Watch,
};
use shared::Shared;
use writer::{Command, Writer};

pub use counters::Counters;

/// Changes that wait for the writer. At this many, callers wait for a place: the disk is the slow part, and a longer queue would
/// only hide it.
const QUEUE: usize = 1024;
/// How long a caller waits for a place in the queue: longer than any healthy disk needs for a full queue.
const QUEUE_WAIT: Duration = Duration::from_secs(5);

/// The embedded store. Dropping it closes it soon after; [`Embedded::close`] waits for that.
#[derive(Debug)]
pub struct Embedded {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    stop: CancellationToken,
    tasks: TaskTracker,
    _stop_on_drop: DropGuard,
}

/// What the store may keep in memory.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Commits remembered for watches that fall behind: some minutes of a busy provider's changes.
    pub history_revisions: usize,
    /// And their weight.
    pub history_bytes: usize,
    /// Pages of the file kept in memory.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            history_revisions: 16_384,
            history_bytes: 32 * 1024 * 1024,
            cache_bytes: 64 * 1024 * 1024,
        }
    }
}

impl Embedded {
    /// Opens the store in the file `path`, which is made when it is not there.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path, Options::default()).await
    }

    pub async fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        let path = path.as_ref().to_path_buf();
        let opened = tokio::task::spawn_blocking(move || {
            let database = open::file(&path, options)?;
            open::prepare(&database).map(|revision| (database, revision))
        });
        let (database, revision) = opened
            .await
            .map_err(|error| StoreError::Unavailable(error.to_string()))??;
        Self::start(database, revision, options)
    }

    /// A store that is gone when it is dropped.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::in_memory_with(Options::default())
    }

    pub fn in_memory_with(options: Options) -> Result<Self, StoreError> {
        Self::over(redb::backends::InMemoryBackend::new(), options)
    }

    /// What happened so far, for metrics.
    pub fn counters(&self) -> Counters {
        self.shared.tally.counters()
    }

    /// Refuses new changes, ends all watches, and returns when the file is closed and its lock free.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    fn over(backend: impl redb::StorageBackend, options: Options) -> Result<Self, StoreError> {
        let database = redb::Builder::new()
            .set_cache_size(options.cache_bytes)
            .create_with_backend(backend)
            .map_err(shared::unavailable)?;
        let revision = open::prepare(&database)?;
        Self::start(database, revision, options)
    }

    fn start(database: Database, revision: Revision, options: Options) -> Result<Self, StoreError> {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared::new(&database, revision, options, stop.clone())?);
        let (commands, queue) = mpsc::channel(QUEUE);
        let tasks = TaskTracker::new();
        tasks.spawn(writer::run(Writer::new(database, shared.clone()), queue));
        tasks.close();
        Ok(Self {
            shared,
            commands,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
            tasks,
        })
    }

    /// Hands a change to the writer and waits for its answer.
    async fn send<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Command,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        if self.commands.capacity() == 0 {
            self.shared.tally.queue_full.add(1);
        }
        match self
            .commands
            .send_timeout(command(answer), QUEUE_WAIT)
            .await
        {
            Ok(()) => {}
            Err(mpsc::error::SendTimeoutError::Closed(_)) => return Err(StoreError::Closed),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                self.shared.tally.queue_timeouts.add(1);
                return Err(StoreError::Unavailable("the disk is too slow".into()));
            }
        }
        answered
            .await
            .unwrap_or_else(|_| Err(StoreError::Unknown("the writer stopped".into())))
    }
}

#[async_trait]
impl Store for Embedded {
    async fn read(
        &self,
        range: &Range,
        at: Option<Revision>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let view = self.shared.view(range, at)?;
        let range = range.clone();
        tokio::task::spawn_blocking(move || read::page(&view, &range, limit))
            .await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    async fn commit(&self, transaction: Transaction) -> Result<Commit, StoreError> {
        if let Err(error) = transaction.check() {
            let too_large = matches!(
                error,
                TransactionError::TooManyOperations | TransactionError::TooLarge(_)
            );
            self.shared.tally.too_large.add(too_large.into());
            return Err(error.into());
        }
        self.send(|answer| Command::Commit {
            transaction,
            answer,
        })
        .await
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Watch, StoreError> {
        watch::start(self.shared.clone(), prefix.clone(), after)
    }

    async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        if self.stop.is_cancelled() {
            return Err(StoreError::Closed);
        }
        if !(MIN_LEASE_TTL..=MAX_LEASE_TTL).contains(&ttl) {
            return Err(StoreError::LeaseTtl(ttl));
        }
        let granted = self.shared.leases.grant(ttl, Instant::now());
        if granted.is_err() {
            self.shared.tally.leases_refused.add(1);
        }
        granted
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        if self.stop.is_cancelled() {
            return Err(StoreError::Closed);
        }
        self.shared.leases.keep_alive(lease, Instant::now())
    }

    async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.send(|answer| Command::Revoke { lease, answer }).await
    }
}

#[cfg(test)]
mod tests;
