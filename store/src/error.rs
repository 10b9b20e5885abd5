//! What can go wrong with the store, and whether the caller's change happened.

use std::{path::PathBuf, time::Duration};

use model::Revision;

use crate::{Key, LeaseId, MAX_LEASE_TTL, MIN_LEASE_TTL, TransactionError};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("{0} is in use by another process; stop that one or choose another data directory")]
    Locked(PathBuf),
    #[error("cannot open {path}: {reason}")]
    Open { path: PathBuf, reason: String },
    #[error("the store cannot be used as it is configured: {0}")]
    Config(String),
    #[error("this store has format {found}, this program knows {known}; use a newer program")]
    Format { found: u64, known: u64 },
    /// What was asked for lies before the history that is kept.
    #[error("revisions before {oldest} are forgotten; read anew")]
    Compacted { oldest: Revision },
    #[error("revision {wanted} is not there yet, the newest is {newest}; read anew")]
    FutureRevision { wanted: Revision, newest: Revision },
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    #[error("lease {0} has ended; ask for a new one and put its keys again")]
    LeaseGone(LeaseId),
    #[error("lease {0} has as many keys as a lease may have; use another lease")]
    LeaseFull(LeaseId),
    #[error("the store has as many leases as it may have; share leases among keys")]
    TooManyLeases,
    #[error("a lease lasts from {MIN_LEASE_TTL:?} to {MAX_LEASE_TTL:?}, not {0:?}")]
    LeaseTtl(Duration),
    #[error("the value of {key} is not what it should be: {reason}")]
    Value { key: Key, reason: String },
    #[error("cannot be written as json: {0}")]
    NotJson(String),
    /// Nothing was changed; trying again may help.
    #[error("the store cannot be reached or used now: {0}")]
    Unavailable(String),
    /// Nothing was changed, and trying again helps only when somebody has changed the store's settings or ours.
    #[error("the store refuses this program: {0}")]
    Refused(String),
    /// The change may have happened: read before trying again.
    #[error("the store did not say whether the change was made: {0}")]
    Unknown(String),
    #[error("the store was closed")]
    Closed,
}
