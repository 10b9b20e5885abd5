//! The store as this process uses it: what it has written is noted, so that the replica can be waited for.

use std::time::Duration;

use async_trait::async_trait;
use model::Revision;
use store::{
    Commit, LeaseId, Operation, Page, Prefix, Range, Root, SharedStore, Store, StoreError,
    Transaction, Watch,
};
use tokio::sync::watch;

#[derive(Debug)]
pub(super) struct Noted {
    store: SharedStore,
    written: watch::Sender<Revision>,
}

impl Noted {
    /// The store, and the revision of the last commit of this process that changed `public/`.
    pub(super) fn over(store: SharedStore) -> (Self, watch::Receiver<Revision>) {
        let (written, last) = watch::channel(Revision::ZERO);
        (Self { store, written }, last)
    }
}

#[async_trait]
impl Store for Noted {
    async fn read(
        &self,
        range: &Range,
        at: Option<Revision>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.store.read(range, at, limit).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<Commit, StoreError> {
        let is_public = |operation: &Operation| operation.key().root() == Root::Public;
        let is_public = transaction.operations().iter().any(is_public);
        let commit = self.store.commit(transaction).await?;
        if let (Commit::Done(revision), true) = (commit, is_public) {
            self.written.send_if_modified(|written| {
                let is_newer = revision > *written;
                *written = revision.max(*written);
                is_newer
            });
        }
        Ok(commit)
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Watch, StoreError> {
        self.store.watch(prefix, after).await
    }

    async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.store.grant_lease(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.keep_alive(lease).await
    }

    async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.revoke_lease(lease).await
    }
}
