//! Puts a backup into a store: all of it, or nothing that a control plane would work on.
//!
//! A marker stands in the store from the first write to the last, and no control plane starts while it is there. Whoever is
//! interrupted restores the same backup again: every write is the same one.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{Backup, Marker, is_bookkeeping};
use crate::{
    Commit, Envelope, EnvelopeError, Key, MAX_OPERATIONS, MAX_TRANSACTION_BYTES, Prefix, Range,
    Root, Sealed, Store, StoreError, Transaction, Value, layout,
    schema::{self, Schema, SchemaError},
    typed,
};

/// Entries read at a time.
const PAGE: usize = 500;
/// Bytes of one commit: a quarter of the most, so that a store that shares its disk is not held up for long.
const COMMIT_BYTES: usize = MAX_TRANSACTION_BYTES / 4;

/// What may be restored over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Only an empty store.
    Nothing,
    /// Anything: what is not in the backup is deleted.
    Everything,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    pub entries: usize,
    pub deleted: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("the store is not empty: it has {0}, for one")]
    NotEmpty(Key),
    #[error("another backup was restored into this store only in part: finish that one first")]
    Another,
    #[error("someone else restores into this store")]
    Contended,
    #[error("{key} does not open: {error}")]
    Sealed { key: Key, error: EnvelopeError },
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks the store and every sealed value first; writes only then.
pub async fn restore(
    store: &dyn Store,
    envelope: &Envelope,
    backup: &Backup,
    over: Over,
) -> Result<Restored, RestoreError> {
    schema::check(store).await?;
    for (key, value) in secrets(backup) {
        reseal(envelope, key, value)?;
    }
    let existing = existing(store).await?;
    let marker: Option<(Marker, _)> = typed::get(store, &layout::restore()).await?;
    match (&marker, existing.first()) {
        (Some((marker, _)), _) if marker.sha256 != backup.sha256 => {
            return Err(RestoreError::Another);
        }
        (None, Some(key)) if over == Over::Nothing => {
            return Err(RestoreError::NotEmpty(key.clone()));
        }
        _ => {}
    }
    if marker.is_none() {
        mark(store, backup).await?;
    }
    let deleted = delete_others(store, backup, &existing).await?;
    put_all(store, envelope, backup).await?;
    unmark(store, backup).await?;
    Ok(Restored {
        entries: backup.entries.len(),
        deleted,
    })
}

fn secrets(backup: &Backup) -> impl Iterator<Item = (&Key, &Bytes)> {
    let entries = backup.entries.iter().map(|(key, value)| (key, value));
    entries.filter(|(key, _)| key.root() == Root::Secret)
}

/// Under the current key-encryption key, whichever one it was sealed under.
fn reseal(envelope: &Envelope, key: &Key, value: &Bytes) -> Result<Sealed, RestoreError> {
    let refused = |error| RestoreError::Sealed {
        key: key.clone(),
        error,
    };
    let plain = envelope.open(key, value).map_err(refused)?;
    envelope.seal(key, &plain).map_err(refused)
}

/// Keys that hang on no lease and say something of a provider.
async fn existing(store: &dyn Store) -> Result<Vec<Key>, StoreError> {
    let mut keys = Vec::new();
    for root in Root::ALL {
        let mut next = Some(Range::from(&Prefix::from(root)));
        while let Some(range) = next {
            let page = store.read(&range, None, PAGE).await?;
            let lasting = page
                .entries
                .into_iter()
                .filter(|entry| entry.lease.is_none());
            keys.extend(
                lasting
                    .map(|entry| entry.key)
                    .filter(|key| !is_bookkeeping(key)),
            );
            next = page.next;
        }
    }
    Ok(keys)
}

async fn mark(store: &dyn Store, backup: &Backup) -> Result<(), RestoreError> {
    let marker = Marker {
        sha256: backup.sha256.clone(),
    };
    let key = layout::restore();
    let transaction = Transaction::new()
        .if_absent(key.clone())
        .put(key, Value::json(&marker)?);
    match store.commit(transaction).await? {
        Commit::Done(_) => Ok(()),
        Commit::Conflict => Err(RestoreError::Contended),
    }
}

async fn delete_others(
    store: &dyn Store,
    backup: &Backup,
    existing: &[Key],
) -> Result<usize, StoreError> {
    let kept: BTreeSet<&Key> = backup.entries.iter().map(|(key, _)| key).collect();
    let others: Vec<_> = existing.iter().filter(|key| !kept.contains(key)).collect();
    for part in others.chunks(MAX_OPERATIONS) {
        let transaction = part
            .iter()
            .fold(Transaction::new(), |all, key| all.delete(*key));
        let _ = store.commit(transaction).await?;
    }
    Ok(others.len())
}

async fn put_all(
    store: &dyn Store,
    envelope: &Envelope,
    backup: &Backup,
) -> Result<(), RestoreError> {
    let (mut transaction, mut bytes) = (Transaction::new(), 0);
    for (key, value) in &backup.entries {
        let value = match key.root() {
            Root::Secret => reseal(envelope, key, value)?.into(),
            _ => Value::from(value.clone()),
        };
        let size = key.as_str().len() + value.bytes().len();
        let is_full = transaction.operations().len() == MAX_OPERATIONS;
        if is_full || (bytes > 0 && bytes + size > COMMIT_BYTES) {
            let _ = store.commit(std::mem::take(&mut transaction)).await?;
            bytes = 0;
        }
        transaction = transaction.put(key, value);
        bytes += size;
    }
    let _ = store.commit(transaction).await?;
    Ok(())
}

/// From here on the store is a provider's, in the version that the backup is of.
async fn unmark(store: &dyn Store, backup: &Backup) -> Result<(), StoreError> {
    let schema = Schema {
        version: backup.header.schema,
    };
    let transaction = Transaction::new()
        .delete(layout::restore())
        .put(layout::schema(), Value::json(&schema)?);
    let _ = store.commit(transaction).await?;
    Ok(())
}
