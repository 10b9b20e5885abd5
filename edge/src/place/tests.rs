use async_trait::async_trait;
use model::{EdgeFact, Revision, UnixTime};
use std::sync::atomic::{AtomicBool, Ordering};
use store::{Embedded, Page, Prefix, Range, Store, Watch};

use super::*;

/// A store that can be taken away.
#[derive(Debug)]
struct Fickle {
    store: Embedded,
    away: AtomicBool,
}

impl Fickle {
    fn here(&self) -> Result<(), StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("away".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Store for Fickle {
    async fn read(
        &self,
        range: &Range,
        at: Option<Revision>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.store.read(range, at, limit).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<Commit, StoreError> {
        self.here()?;
        self.store.commit(transaction).await
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Watch, StoreError> {
        self.store.watch(prefix, after).await
    }

    async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.here()?;
        self.store.grant_lease(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.here()?;
        self.store.keep_alive(lease).await
    }

    async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.here()?;
        self.store.revoke_lease(lease).await
    }
}

struct Bed {
    store: Arc<Fickle>,
    draining: CancellationToken,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Bed {
    fn start(away: bool) -> Self {
        let store = Arc::new(Fickle {
            store: Embedded::in_memory().unwrap(),
            away: away.into(),
        });
        let sessions = Arc::new(Sessions::new(10, Metrics::default()));
        let edge = EdgeFact {
            id: "ams1".parse().unwrap(),
            region: "eu".parse().unwrap(),
            url: "https://ams1.example".into(),
            draining: false,
            started: UnixTime::from_secs(1),
        };
        let placer = Placer::new(store.clone(), sessions, edge, Metrics::default());
        let (draining, stop) = (CancellationToken::new(), CancellationToken::new());
        let task = tokio::spawn(placer.run(draining.clone(), stop.clone()));
        Self {
            store,
            draining,
            stop,
            task,
        }
    }

    /// Waits until the edge's fact is what `wanted` says.
    async fn edge(&self, wanted: impl Fn(Option<&EdgeFact>) -> bool) {
        let key = layout::edge(&"ams1".parse().unwrap());
        let found = timeout(Duration::from_secs(60), async {
            let mut watch = self
                .store
                .watch(&layout::edges(), Revision::ZERO)
                .await
                .unwrap();
            loop {
                let now = store::get::<EdgeFact>(&*self.store, &key).await.unwrap();
                if wanted(now.as_ref().map(|(fact, _)| fact)) {
                    return;
                }
                watch.next().await.unwrap();
            }
        });
        found.await.expect("the fact did not come");
    }
}

#[tokio::test]
async fn the_edge_is_there_drains_and_goes() {
    let bed = Bed::start(false);
    bed.edge(|fact| fact.is_some_and(|fact| !fact.draining))
        .await;
    bed.draining.cancel();
    bed.edge(|fact| fact.is_some_and(|fact| fact.draining))
        .await;
    bed.stop.cancel();
    bed.edge(|fact| fact.is_none()).await;
    bed.task.await.unwrap();
}

#[tokio::test]
async fn a_store_that_comes_back_is_written_to() {
    let bed = Bed::start(true);
    tokio::task::yield_now().await;
    bed.store.away.store(false, Ordering::SeqCst);
    bed.edge(|fact| fact.is_some()).await;
}

#[tokio::test]
async fn an_edge_stops_though_its_store_is_away() {
    let bed = Bed::start(true);
    bed.stop.cancel();
    timeout(Duration::from_secs(30), bed.task)
        .await
        .unwrap()
        .unwrap();
}
