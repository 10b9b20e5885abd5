//! What the store holds and what it tells: entries, pages of them, and the events of a watch.

use std::fmt;

use bytes::Bytes;
use model::Revision;
use serde::de::DeserializeOwned;

use crate::{Key, LeaseId, Range, StoreError};

/// A value with its history in three numbers.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    pub value: Bytes,
    /// Of the commit that made the key, after it was last absent.
    pub created: Revision,
    /// Of the last put; what `Transaction::if_revision` compares.
    pub modified: Revision,
    pub lease: Option<LeaseId>,
}

/// A part of a range, all of it as it was at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub revision: Revision,
    /// In the order of their keys.
    pub entries: Vec<Entry>,
    /// What is left of the range. A page may be shorter than asked for; only `None` says that it was the last.
    pub next: Option<Range>,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub revision: Revision,
    pub change: Change,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Put(Entry),
    Delete(Key),
}

/// Everything that one commit changed under the watched prefix. Without events it says only that nothing else happened there
/// up to `revision`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub revision: Revision,
    pub events: Vec<Event>,
}

impl Entry {
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_slice(&self.value).map_err(|error| StoreError::Value {
            key: self.key.clone(),
            reason: error.to_string(),
        })
    }

    /// What it costs to keep in memory, near enough to bound a buffer.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.key.as_str().len() + self.value.len()
    }
}

impl Event {
    pub fn key(&self) -> &Key {
        match &self.change {
            Change::Put(entry) => &entry.key,
            Change::Delete(key) => key,
        }
    }
}

/// Values may be private, so a log gets their length.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key)
            .field("bytes", &self.value.len())
            .field("created", &self.created)
            .field("modified", &self.modified)
            .field("lease", &self.lease)
            .finish()
    }
}
