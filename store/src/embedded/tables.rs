//! The tables in the file, and one transaction's work on them. Whoever calls makes the commit.

use bytes::Bytes;
use model::Revision;
use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::{
    history::{Changed, Record},
    leases::Leases,
    shared::unavailable,
};
use crate::{
    Change, Entry, Key, LeaseId, MAX_LEASE_KEYS, Operation, StoreError, Transaction, Value,
};

/// Created, modified, lease or zero, value.
type Row<'a> = (u64, u64, u64, &'a [u8]);

pub(super) const ENTRIES: TableDefinition<'static, &str, Row<'static>> =
    TableDefinition::new("entries");
/// Lease and key of every leased entry.
const LEASED: TableDefinition<'static, (u64, &str), ()> = TableDefinition::new("leased");
/// How many keys each lease has.
const LEASES: TableDefinition<'static, u64, u64> = TableDefinition::new("leases");
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");

const FORMAT: &str = "format";
const REVISION: &str = "revision";
/// The tables above; a file of another format is not touched.
const FORMAT_NOW: u64 = 1;

/// All tables, open in one write transaction.
pub(super) struct Tables<'txn> {
    entries: Table<'txn, &'static str, Row<'static>>,
    leased: Table<'txn, (u64, &'static str), ()>,
    leases: Table<'txn, u64, u64>,
    meta: Table<'txn, &'static str, u64>,
}

/// What one transaction came to.
pub(super) enum Applied {
    Changed(Record),
    Unchanged,
    Conflict,
}

impl<'txn> Tables<'txn> {
    pub(super) fn open(txn: &'txn WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            entries: txn.open_table(ENTRIES).map_err(unavailable)?,
            leased: txn.open_table(LEASED).map_err(unavailable)?,
            leases: txn.open_table(LEASES).map_err(unavailable)?,
            meta: txn.open_table(META).map_err(unavailable)?,
        })
    }

    /// Takes a new file for ours, and refuses one of another format.
    pub(super) fn check_format(&mut self) -> Result<(), StoreError> {
        let found = self
            .meta
            .get(FORMAT)
            .map_err(unavailable)?
            .map(|row| row.value());
        match found {
            Some(FORMAT_NOW) => Ok(()),
            Some(found) => Err(StoreError::Format {
                found,
                known: FORMAT_NOW,
            }),
            None => {
                self.meta.insert(FORMAT, FORMAT_NOW).map_err(unavailable)?;
                Ok(())
            }
        }
    }

    pub(super) fn revision(&self) -> Result<Revision, StoreError> {
        let row = self.meta.get(REVISION).map_err(unavailable)?;
        Ok(row.map_or(Revision::ZERO, |row| Revision(row.value())))
    }

    pub(super) fn set_revision(&mut self, revision: Revision) -> Result<(), StoreError> {
        self.meta
            .insert(REVISION, revision.0)
            .map_err(unavailable)?;
        Ok(())
    }

    /// Changes everything at `revision`, or nothing.
    pub(super) fn apply(
        &mut self,
        transaction: &Transaction,
        revision: Revision,
        leases: &Leases,
    ) -> Result<Applied, StoreError> {
        for condition in transaction.conditions() {
            let modified = self.get(condition.key())?.map(|entry| entry.modified);
            if !condition.holds(modified) {
                return Ok(Applied::Conflict);
            }
        }
        self.check_leases(transaction, leases)?;
        let mut changes = Vec::with_capacity(transaction.operations().len());
        for operation in transaction.operations() {
            match operation {
                Operation::Put { key, value, lease } => {
                    changes.push(self.put(key, value, *lease, revision)?);
                }
                Operation::Delete(key) => changes.extend(self.delete(key)?),
            }
        }
        Ok(applied(revision, changes))
    }

    /// Deletes the keys of leases that ended.
    pub(super) fn drop_leases(
        &mut self,
        ended: &[LeaseId],
        revision: Revision,
    ) -> Result<Applied, StoreError> {
        let mut changes = Vec::new();
        for lease in ended {
            for key in self.keys_of(*lease)? {
                changes.extend(self.delete(&key)?);
            }
        }
        Ok(applied(revision, changes))
    }

    /// Every lease that has keys.
    pub(super) fn leases_with_keys(&self) -> Result<Vec<LeaseId>, StoreError> {
        let rows = self.leases.iter().map_err(unavailable)?;
        rows.map(|row| {
            let (lease, _) = row.map_err(unavailable)?;
            LeaseId::new(lease.value()).ok_or_else(|| corrupt("a lease without a number"))
        })
        .collect()
    }

    /// Before the first change, so that a transaction that fails here has changed nothing.
    fn check_leases(&self, transaction: &Transaction, leases: &Leases) -> Result<(), StoreError> {
        let mut wanted: Vec<(LeaseId, u64)> = Vec::new();
        for operation in transaction.operations() {
            let Operation::Put {
                key,
                lease: Some(lease),
                ..
            } = operation
            else {
                continue;
            };
            if !leases.is_living(*lease) {
                return Err(StoreError::LeaseGone(*lease));
            }
            let has_it = self
                .get(key)?
                .is_some_and(|entry| entry.lease == Some(*lease));
            let new = u64::from(!has_it);
            match wanted.iter_mut().find(|(id, _)| id == lease) {
                Some((_, count)) => *count += new,
                None => wanted.push((*lease, self.key_count(*lease)? + new)),
            }
        }
        match wanted
            .iter()
            .find(|(_, count)| *count > MAX_LEASE_KEYS as u64)
        {
            Some((lease, _)) => Err(StoreError::LeaseFull(*lease)),
            None => Ok(()),
        }
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let row = self.entries.get(key.as_str()).map_err(unavailable)?;
        Ok(row.map(|row| entry(key.clone(), row.value())))
    }

    fn put(
        &mut self,
        key: &Key,
        value: &Value,
        lease: Option<LeaseId>,
        revision: Revision,
    ) -> Result<Changed, StoreError> {
        let before = self.get(key)?;
        let entry = Entry {
            key: key.clone(),
            value: value.bytes().clone(),
            created: before.as_ref().map_or(revision, |before| before.created),
            modified: revision,
            lease,
        };
        let held = before.as_ref().and_then(|before| before.lease);
        if held != lease {
            self.detach(key, held)?;
            self.attach(key, lease)?;
        }
        let number = lease.map_or(0, LeaseId::get);
        let row = (entry.created.0, entry.modified.0, number, &entry.value[..]);
        self.entries
            .insert(key.as_str(), row)
            .map_err(unavailable)?;
        let change = Change::Put(entry);
        Ok(Changed { change, before })
    }

    /// `None` when there was nothing to delete.
    fn delete(&mut self, key: &Key) -> Result<Option<Changed>, StoreError> {
        let Some(before) = self.get(key)? else {
            return Ok(None);
        };
        self.detach(key, before.lease)?;
        self.entries.remove(key.as_str()).map_err(unavailable)?;
        Ok(Some(Changed {
            change: Change::Delete(key.clone()),
            before: Some(before),
        }))
    }

    fn attach(&mut self, key: &Key, lease: Option<LeaseId>) -> Result<(), StoreError> {
        let Some(lease) = lease else { return Ok(()) };
        let count = self.key_count(lease)? + 1;
        self.leases
            .insert(lease.get(), count)
            .map_err(unavailable)?;
        let row = (lease.get(), key.as_str());
        self.leased.insert(row, ()).map_err(unavailable)?;
        Ok(())
    }

    fn detach(&mut self, key: &Key, lease: Option<LeaseId>) -> Result<(), StoreError> {
        let Some(lease) = lease else { return Ok(()) };
        match self.key_count(lease)?.saturating_sub(1) {
            0 => self.leases.remove(lease.get()).map_err(unavailable)?,
            left => self.leases.insert(lease.get(), left).map_err(unavailable)?,
        };
        self.leased
            .remove((lease.get(), key.as_str()))
            .map_err(unavailable)?;
        Ok(())
    }

    fn key_count(&self, lease: LeaseId) -> Result<u64, StoreError> {
        let row = self.leases.get(lease.get()).map_err(unavailable)?;
        Ok(row.map_or(0, |row| row.value()))
    }

    fn keys_of(&self, lease: LeaseId) -> Result<Vec<Key>, StoreError> {
        let all = (lease.get(), "")..(lease.get() + 1, "");
        let rows = self.leased.range(all).map_err(unavailable)?;
        rows.map(|row| {
            let (row, ()) = row.map(|(key, _)| (key, ())).map_err(unavailable)?;
            stored_key(row.value().1)
        })
        .collect()
    }
}

/// Entries from `first` up to `end` (not included), in order.
pub(super) fn scan(
    snapshot: &ReadTransaction,
    first: &str,
    end: &str,
) -> Result<impl Iterator<Item = Result<Entry, StoreError>>, StoreError> {
    let table = snapshot.open_table(ENTRIES).map_err(unavailable)?;
    let rows = table.range(first..end).map_err(unavailable)?;
    Ok(rows.map(|row| {
        let (key, row) = row.map_err(unavailable)?;
        Ok(entry(stored_key(key.value())?, row.value()))
    }))
}

fn entry(key: Key, (created, modified, lease, value): Row<'_>) -> Entry {
    Entry {
        key,
        value: Bytes::copy_from_slice(value),
        created: Revision(created),
        modified: Revision(modified),
        lease: LeaseId::new(lease),
    }
}

fn applied(revision: Revision, changes: Vec<Changed>) -> Applied {
    if changes.is_empty() {
        Applied::Unchanged
    } else {
        Applied::Changed(Record { revision, changes })
    }
}

fn stored_key(text: &str) -> Result<Key, StoreError> {
    text.parse().map_err(|_| corrupt("a key that is no key"))
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Unavailable(format!("the file holds {what}; restore it from a backup"))
}
