//! Our keys as etcd has them: behind a prefix of their own.

use bytes::Bytes;
use etcd_client::proto::PbKeyValue;
use model::Revision;

use crate::{Entry, Key, LeaseId, Prefix, Root};

/// The prefix and a key.
pub(super) fn outer(prefix: &str, key: &str) -> Vec<u8> {
    [prefix.as_bytes(), key.as_bytes()].concat()
}

/// A key that is never there, but that every one of our users may ask for: edges read only `public/`.
pub(super) fn readable_by_all(prefix: &str) -> Vec<u8> {
    outer(prefix, Prefix::from(Root::Public).as_str())
}

/// `None` for a key that none of us can have made: somebody else writes here.
pub(super) fn inner(prefix: &str, key: &[u8]) -> Option<Key> {
    let path = key.strip_prefix(prefix.as_bytes())?;
    std::str::from_utf8(path).ok()?.parse().ok()
}

pub(super) fn entry(prefix: &str, row: PbKeyValue) -> Option<Entry> {
    Some(Entry {
        key: inner(prefix, &row.key)?,
        value: Bytes::from(row.value),
        created: revision(row.create_revision),
        modified: revision(row.mod_revision),
        lease: lease(row.lease),
    })
}

/// etcd counts with a sign, and never below zero.
pub(super) fn revision(number: i64) -> Revision {
    Revision(u64::try_from(number).unwrap_or_default())
}

pub(super) fn number(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

pub(super) fn lease(number: i64) -> Option<LeaseId> {
    LeaseId::new(u64::try_from(number).unwrap_or_default())
}

pub(super) fn lease_number(lease: LeaseId) -> i64 {
    // An id has at most 63 bits.
    i64::try_from(lease.get()).unwrap_or(i64::MAX)
}
