//! The only memory of adit: facts are written once, leased where they may die, and watched.
//!
//! [`Store`] is the one trait; [`Embedded`] is the backend for one machine, [`Etcd`] the one for many. [`layout`] names every key there is, [`Envelope`]
//! seals what is under `secret/`, and [`Replica`] keeps a watched copy that outlives the loss of its store.

pub mod backup;
mod embedded;
mod entry;
mod envelope;
mod error;
mod etcd;
mod fact;
mod key;
pub mod layout;
mod lease;
mod range;
mod replica;
pub mod schema;
mod snapshot;
mod transaction;
mod typed;
mod value;
mod watch;

#[cfg(any(test, feature = "contract"))]
pub mod contract;

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use model::Revision;

pub use embedded::{Counters, Embedded, Options};
pub use entry::{Batch, Change, Entry, Event, Page};
pub use envelope::{
    Envelope, EnvelopeError, KekError, KekId, KeyEncryptionKey, Sealed, SealedParts,
};
pub use error::StoreError;
pub use etcd::{Etcd, EtcdConfig, EtcdCounters, EtcdIdentity, EtcdUser};
pub use fact::{Fact, FactError, FactKey};
pub use key::{Key, KeyError, MAX_KEY, Prefix, Root};
pub use lease::{LeaseId, MAX_LEASE_KEYS, MAX_LEASE_TTL, MIN_LEASE_TTL};
pub use range::Range;
pub use replica::{Fold, Replica, Seed};
pub use snapshot::{Snapshot, SnapshotError};
pub use transaction::{
    Commit, Condition, MAX_OPERATIONS, MAX_TRANSACTION_BYTES, Operation, Transaction,
    TransactionError,
};
pub use typed::{entries, get, list};
pub use value::Value;
pub use watch::{Watch, WatchError, WatchSource};

pub type SharedStore = Arc<dyn Store>;

/// One ordered memory. Revisions rise with every change, over all keys; they may jump.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// One page of a range as it was at one revision; `at: None` means the newest. The page names its revision, and the next
    /// page is asked for with it. What was acknowledged before the call is seen.
    async fn read(
        &self,
        range: &Range,
        at: Option<Revision>,
        limit: usize,
    ) -> Result<Page, StoreError>;

    /// Checks every condition, then makes every change or none. `Done` means that it survives a crash. A caller that stops
    /// waiting does not undo it.
    async fn commit(&self, transaction: Transaction) -> Result<Commit, StoreError>;

    /// Every commit after `after` that touches `prefix`, in order and without gaps. Progress is reported, with empty batches,
    /// also when only other prefixes change.
    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Watch, StoreError>;

    /// A lease that ends when it is not kept alive for `ttl`, and takes the keys put under it along.
    async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError>;

    /// Starts the lease's time anew; [`StoreError::LeaseGone`] once it has ended.
    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError>;

    /// Ends the lease now and deletes its keys, in one revision; [`StoreError::LeaseGone`] when it has ended.
    async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError>;
}
