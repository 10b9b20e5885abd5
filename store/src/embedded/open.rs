//! Opening: the file, its lock, its format, and the end of every lease of the process that had it before.

use std::path::Path;

use model::Revision;
use redb::{Builder, Database, DatabaseError, Durability};

use super::{
    Options,
    shared::unavailable,
    tables::{Applied, Tables},
};
use crate::{
    StoreError,
    envelope::{private_file, sync_folder_of},
};

/// Only the owner may read the file. It holds no plain secret, but all else of every account.
pub(super) fn file(path: &Path, options: Options) -> Result<Database, StoreError> {
    let failed = |reason: String| StoreError::Open {
        path: path.into(),
        reason,
    };
    private_file()
        .create(true)
        .truncate(false)
        .open(path)
        .and_then(|_| sync_folder_of(path))
        .map_err(|error| failed(error.to_string()))?;
    Builder::new()
        .set_cache_size(options.cache_bytes)
        .create(path)
        .map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                StoreError::Locked(path.into())
            }
            error => failed(error.to_string()),
        })
}

/// The revision that the store goes on from.
pub(super) fn prepare(database: &Database) -> Result<Revision, StoreError> {
    let mut txn = database.begin_write().map_err(unavailable)?;
    txn.set_durability(Durability::Immediate)
        .map_err(unavailable)?;
    let mut tables = Tables::open(&txn)?;
    tables.check_format()?;
    let mut revision = tables.revision()?;
    let leases = tables.leases_with_keys()?;
    if let Applied::Changed(record) = tables.drop_leases(&leases, revision.next())? {
        revision = record.revision;
        tables.set_revision(revision)?;
    }
    drop(tables);
    txn.commit().map_err(unavailable)?;
    Ok(revision)
}
