//! The one task that changes the store: it takes what is waiting, writes it in one redb transaction, and answers when that is
//! on the disk.

use std::sync::Arc;

use model::Revision;
use redb::{Database, Durability, ReadableDatabase};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    history::Record,
    shared::{Shared, unavailable},
    tables::{Applied, Tables},
};
use crate::{Commit, LeaseId, StoreError, Transaction};

/// Changes written with one fsync. More would make the first of them wait for the last without sparing much.
const MAX_GROUP: usize = 256;

pub(super) enum Command {
    Commit {
        transaction: Transaction,
        answer: oneshot::Sender<Result<Commit, StoreError>>,
    },
    Revoke {
        lease: LeaseId,
        answer: oneshot::Sender<Result<(), StoreError>>,
    },
    /// The lease has ended already; what is left is to delete its keys.
    Expire(LeaseId),
}

pub(super) struct Writer {
    database: Database,
    shared: Arc<Shared>,
    revision: Revision,
}

/// What a command came to, kept back until it is on the disk.
type Outcome = Result<Commit, StoreError>;

impl Writer {
    pub(super) fn new(database: Database, shared: Arc<Shared>) -> Self {
        Self {
            revision: shared.newest(),
            database,
            shared,
        }
    }

    /// Blocks on the disk.
    fn write(&mut self, commands: Vec<Command>) {
        match self.write_all(&commands) {
            Ok(outcomes) => {
                for (command, outcome) in commands.into_iter().zip(outcomes) {
                    command.answer(outcome);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the store could not be written");
                for command in commands {
                    command.answer(Err(error.clone()));
                }
            }
        }
    }

    fn write_all(&mut self, commands: &[Command]) -> Result<Vec<Outcome>, StoreError> {
        let mut txn = self.database.begin_write().map_err(unavailable)?;
        txn.set_durability(Durability::Immediate)
            .map_err(unavailable)?;
        let mut tables = Tables::open(&txn)?;
        let mut group = Group {
            shared: &self.shared,
            revision: self.revision,
            records: Vec::new(),
        };
        let outcomes = commands
            .iter()
            .map(|command| group.take(command, &mut tables))
            .collect::<Result<_, _>>()?;
        let (revision, records) = (group.revision, group.records);
        if records.is_empty() {
            drop(tables);
            txn.abort().map_err(unavailable)?;
            return Ok(outcomes);
        }
        tables.set_revision(revision)?;
        drop(tables);
        txn.commit().map_err(unknown)?;
        self.publish(revision, records)?;
        Ok(outcomes)
    }

    fn publish(&mut self, revision: Revision, records: Vec<Record>) -> Result<(), StoreError> {
        let snapshot = self.database.begin_read().map_err(unknown)?;
        self.revision = revision;
        self.shared.tally.syncs.add(1);
        self.shared.tally.commits.add(records.len());
        self.shared.publish(snapshot, records);
        Ok(())
    }
}

/// Commands that share one redb transaction; each sees what those before it did.
struct Group<'a> {
    shared: &'a Shared,
    revision: Revision,
    records: Vec<Record>,
}

impl Group<'_> {
    /// The outer error is the file's and ends the whole group; the inner one is the command's own.
    fn take(&mut self, command: &Command, tables: &mut Tables<'_>) -> Result<Outcome, StoreError> {
        let next = self.revision.next();
        let applied = match command {
            Command::Commit { transaction, .. } => {
                tables.apply(transaction, next, &self.shared.leases)
            }
            Command::Revoke { lease, .. } if !self.shared.leases.end(*lease) => {
                Err(StoreError::LeaseGone(*lease))
            }
            Command::Revoke { lease, .. } | Command::Expire(lease) => {
                tables.drop_leases(&[*lease], next)
            }
        };
        match applied {
            Ok(applied) => Ok(Ok(self.settle(applied))),
            // These are found before the first change of the command, so the others may go on.
            Err(error @ (StoreError::LeaseGone(_) | StoreError::LeaseFull(_))) => {
                let full = matches!(error, StoreError::LeaseFull(_));
                self.shared.tally.lease_full.add(full.into());
                Ok(Err(error))
            }
            Err(error) => Err(error),
        }
    }

    fn settle(&mut self, applied: Applied) -> Commit {
        match applied {
            Applied::Changed(record) => {
                self.revision = record.revision;
                self.records.push(record);
                Commit::Done(self.revision)
            }
            Applied::Unchanged => Commit::Done(self.revision),
            Applied::Conflict => {
                self.shared.tally.conflicts.add(1);
                Commit::Conflict
            }
        }
    }
}

impl Command {
    /// Whoever stopped waiting is not told.
    fn answer(self, outcome: Outcome) {
        match self {
            Self::Commit { answer, .. } => drop(answer.send(outcome)),
            Self::Revoke { answer, .. } => drop(answer.send(outcome.map(|_| ()))),
            Self::Expire(_) => {}
        }
    }
}

/// Runs until the store is closed, then lets go of the file.
pub(super) async fn run(mut writer: Writer, mut queue: mpsc::Receiver<Command>) {
    let shared = writer.shared.clone();
    while let Some(commands) = next_group(&shared, &mut queue).await {
        let written = tokio::task::spawn_blocking(move || {
            writer.write(commands);
            writer
        });
        match written.await {
            Ok(back) => writer = back,
            Err(error) => {
                tracing::error!(%error, "the store's writer broke; the store is closed");
                return refuse_rest(&shared, queue);
            }
        }
    }
    refuse_rest(&shared, queue);
    // The lock goes with the database, and closing it writes.
    let _ = tokio::task::spawn_blocking(move || drop(writer)).await;
}

/// Waits for something to do; `None` when the store is to be closed.
async fn next_group(shared: &Shared, queue: &mut mpsc::Receiver<Command>) -> Option<Vec<Command>> {
    let mut commands = Vec::new();
    loop {
        let due = shared.leases.next_deadline();
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return None,
            () = deadline(due) => {}
            () = shared.leases.granted.notified() => continue,
            taken = queue.recv_many(&mut commands, MAX_GROUP) => if taken == 0 { return None },
        }
        let overdue = shared.leases.end_overdue(Instant::now());
        if !overdue.is_empty() {
            shared.tally.leases_expired.add(overdue.len());
            // A revision for each, so that none is larger than one lease may be.
            commands.extend(overdue.into_iter().map(Command::Expire));
        }
        if !commands.is_empty() {
            return Some(commands);
        }
    }
}

async fn deadline(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// What is still in the queue was not begun.
fn refuse_rest(shared: &Shared, mut queue: mpsc::Receiver<Command>) {
    shared.close();
    queue.close();
    while let Ok(command) = queue.try_recv() {
        command.answer(Err(StoreError::Closed));
    }
}

/// Errors of the commit itself: the file may or may not hold it.
fn unknown(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Unknown(error.into().to_string())
}
