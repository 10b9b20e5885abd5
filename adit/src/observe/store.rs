//! The store, measured from outside, whichever engine it is; and what each of the two counts.

use std::{fmt, sync::Arc, time::Duration};

use ::store::{
    Commit, Embedded, Etcd, LeaseId, Page, Prefix, Range, SharedStore, Store, StoreError,
    Transaction, Watch,
};
use async_trait::async_trait;
use model::Revision;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use tokio::time::Instant;

use super::figures::Figures;

/// From a commit in memory to one that has waited for its turn as long as it may.
const SECONDS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// A store whose operations are timed and whose failures are counted.
#[derive(Debug)]
pub(crate) struct Metered {
    inner: SharedStore,
    seconds: Family<Operation, Histogram, fn() -> Histogram>,
    failures: Family<Operation, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

const OPERATIONS: [&str; 3] = ["commit", "read", "lease"];

impl Metered {
    pub(crate) fn register(inner: SharedStore, registry: &mut Registry) -> SharedStore {
        let metered = Self {
            inner,
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            failures: Family::default(),
        };
        for operation in OPERATIONS {
            metered
                .seconds
                .get_or_create_owned(&Operation { operation });
            metered
                .failures
                .get_or_create_owned(&Operation { operation });
        }
        let registry = registry.sub_registry_with_prefix("store");
        registry.register_with_unit(
            "operation",
            "How long the store took, by operation",
            Unit::Seconds,
            metered.seconds.clone(),
        );
        registry.register(
            "failures",
            "Operations that the store failed, by operation",
            metered.failures.clone(),
        );
        Arc::new(metered)
    }

    async fn timed<T>(
        &self,
        operation: &'static str,
        running: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let label = Operation { operation };
        let since = Instant::now();
        let result = running.await;
        let took = since.elapsed().as_secs_f64();
        self.seconds.get_or_create(&label).observe(took);
        if result.is_err() {
            self.failures.get_or_create(&label).inc();
        }
        result
    }
}

#[async_trait]
impl Store for Metered {
    async fn read(
        &self,
        range: &Range,
        at: Option<Revision>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.timed("read", self.inner.read(range, at, limit)).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<Commit, StoreError> {
        self.timed("commit", self.inner.commit(transaction)).await
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Watch, StoreError> {
        self.inner.watch(prefix, after).await
    }

    async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.timed("lease", self.inner.grant_lease(ttl)).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.timed("lease", self.inner.keep_alive(lease)).await
    }

    async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.timed("lease", self.inner.revoke_lease(lease)).await
    }
}

/// The counters of the embedded store.
pub(crate) fn embedded(store: Arc<Embedded>, registry: &mut Registry) {
    registry.register_collector(Box::new(OfEmbedded(store)));
}

#[derive(Debug)]
struct OfEmbedded(Arc<Embedded>);

impl Collector for OfEmbedded {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = self.0.counters();
        let mut figures = Figures::new(encoder, "store");
        figures.counter(
            "commits",
            "Commits that changed something",
            None,
            counts.commits,
        )?;
        figures.counter(
            "conflicts",
            "Commits whose conditions did not hold",
            None,
            counts.conflicts,
        )?;
        figures.counter(
            "syncs",
            "Writes to the disk; each made one or more commits durable",
            None,
            counts.syncs,
        )?;
        figures.counter(
            "leases_expired",
            "Leases that ended by themselves",
            None,
            counts.leases_expired,
        )?;
        figures.bounds_hit(
            [
                ("leases", counts.leases_refused),
                ("lease_keys", counts.lease_full),
                ("history", counts.compacted),
                ("queue", counts.queue_full),
                ("queue_wait", counts.queue_timeouts),
                ("transaction", counts.too_large),
            ]
            .into_iter(),
        )
    }
}

/// What the connection to etcd went through.
pub(crate) fn etcd(store: Arc<Etcd>, registry: &mut Registry) {
    registry.register_collector(Box::new(OfEtcd(store)));
}

#[derive(Debug)]
struct OfEtcd(Arc<Etcd>);

impl Collector for OfEtcd {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = self.0.counters();
        let mut figures = Figures::new(encoder, "store_etcd");
        for (name, help, count) in [
            ("connects", "Connections to a member", counts.connects),
            (
                "connects_failed",
                "Members that could not be used when they were tried",
                counts.connects_failed,
            ),
            (
                "auth_renewals",
                "Tokens of etcd's user that had expired and were renewed",
                counts.auth_renewals,
            ),
            (
                "unknown_commits",
                "Commits of which nobody knows whether they happened",
                counts.unknown,
            ),
            (
                "watches_resumed",
                "Watches that went on at another connection",
                counts.watches_resumed,
            ),
            (
                "fragments",
                "Parts of events too large for one message",
                counts.fragments,
            ),
            (
                "leases_gone",
                "Leases that turned out to have ended",
                counts.leases_gone,
            ),
            (
                "foreign_keys",
                "Keys under our prefix that are none of ours",
                counts.foreign_keys,
            ),
        ] {
            figures.counter(name, help, None, count)?;
        }
        figures.bounds_hit(
            [
                ("answer_time", counts.deadlines),
                ("history", counts.compacted),
                ("lease_keys", counts.leases_full),
                ("page_bytes", counts.pages_shrunk),
            ]
            .into_iter(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etcd_is_counted_before_it_is_reached() {
        let mut registry = Registry::default();
        let config = ::store::EtcdConfig::new(["http://127.0.0.1:1"]);
        etcd(Arc::new(Etcd::connect(config).unwrap()), &mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "store_etcd_connects_total 0\n",
            "store_etcd_bounds_hit_total{bound=\"answer_time\"} 0\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[tokio::test]
    async fn commits_are_timed_and_failures_counted() {
        let mut registry = Registry::default();
        let store = Arc::new(Embedded::in_memory().unwrap());
        let metered = Metered::register(store.clone(), &mut registry);
        assert_eq!(
            metered.commit(Transaction::new()).await.unwrap(),
            Commit::Done(Revision::ZERO)
        );
        store.close().await;
        metered.commit(Transaction::new()).await.unwrap_err();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "store_operation_seconds_count{operation=\"commit\"} 2\n",
            "store_failures_total{operation=\"commit\"} 1\n",
            "store_failures_total{operation=\"read\"} 0\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
