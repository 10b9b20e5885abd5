//! The store of many machines: etcd, which every process of a provider reaches by itself.
//!
//! One connection at a time, to one member, made when it is first needed: starting works while etcd is away. When the member does
//! not answer, everything goes to another one; what may be done twice is tried again there, and a commit that may have happened is
//! told as `Unknown`. A watch goes on where it was. Whoever holds a lease learns by `LeaseGone` that it ended meanwhile.
//!
//! etcd orders what we need ordered, so little is kept here: the link in use, and how many keys went under each lease.

mod commit;
mod config;
mod counters;
mod failure;
mod gather;
mod leases;
mod link;
mod links;
mod namespace;
mod pump;
mod read;
mod version;
mod watch;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use model::Revision;
use tokio::time::Instant;

use self::{failure::Failure, leases::Leases, links::Links};
use crate::{Commit, LeaseId, Page, Prefix, Range, Store, StoreError, Transaction, Watch};

pub use self::{
    config::{EtcdConfig, EtcdIdentity, EtcdUser},
    counters::EtcdCounters,
};

/// How long [`Etcd::reach`] tries: for a member to answer, and for its leader to be chosen.
const REACH_WITHIN: Duration = Duration::from_secs(8);

/// The store over etcd. Cheap to keep; dropping it closes the connection when its last watch is dropped too.
#[derive(Debug)]
pub struct Etcd {
    links: Arc<Links>,
    leases: Leases,
}

impl Etcd {
    /// Looks at the configuration only; etcd is first asked when something is wanted of it.
    pub fn connect(config: EtcdConfig) -> Result<Self, StoreError> {
        config.check()?;
        Ok(Self {
            links: Arc::new(Links::new(config)),
            leases: Leases::default(),
        })
    }

    /// Whether etcd can be used now: it answers, takes us for who we say we are, and is of a version that we work with.
    pub async fn reach(&self) -> Result<(), StoreError> {
        let deadline = Instant::now() + REACH_WITHIN;
        self.links
            .get(deadline)
            .await
            .map(|_| ())
            .map_err(Failure::harmless)
    }

    /// What happened so far, for metrics.
    pub fn counters(&self) -> EtcdCounters {
        self.links.tally.counters()
    }
}

#[async_trait]
impl Store for Etcd {
    async fn read(
        &self,
        range: &Range,
        at: Option<Revision>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        read::page(&self.links, range, at, limit).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<Commit, StoreError> {
        commit::commit(&self.links, &self.leases, &transaction).await
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Watch, StoreError> {
        watch::start(&self.links, prefix, after).await
    }

    async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        leases::grant(&self.links, ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        leases::keep_alive(&self.links, &self.leases, lease).await
    }

    async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError> {
        leases::revoke(&self.links, &self.leases, lease).await
    }
}
