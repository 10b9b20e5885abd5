//! Members that die, hang and come back, under a steady load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use store::{Etcd, Store, StoreError, Transaction};
use tests::EtcdCluster;
use tokio::task::JoinHandle;

use crate::{AGAIN, at_last, done, key, over, put, put_at_last, watched::Watched};

/// As long as that of an edge: it must outlive the loss of a member, not the loss of etcd.
const TTL: Duration = Duration::from_secs(15);
/// Commits that are to be seen after each fault.
const MORE: u64 = 20;

/// Writes steps as fast as they are acknowledged, and keeps a lease alive.
struct Load {
    store: Arc<Etcd>,
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    writer: JoinHandle<()>,
    keeper: JoinHandle<()>,
}

impl Load {
    async fn start(store: Arc<Etcd>) -> Self {
        let lease = store.grant_lease(TTL).await.unwrap();
        done(
            &store,
            Transaction::new().put_leased(key("leased"), "1", lease),
        )
        .await;
        let (acknowledged, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let writer = {
            let (store, acknowledged, stop) = (store.clone(), acknowledged.clone(), stop.clone());
            tokio::spawn(async move {
                for step in 1.. {
                    put_at_last(&store, "step", &step.to_string()).await;
                    acknowledged.store(step, Relaxed);
                    if stop.load(Relaxed) {
                        return;
                    }
                }
            })
        };
        let keeper = {
            let (store, stop) = (store.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Relaxed) {
                    match store.keep_alive(lease).await {
                        Ok(()) | Err(StoreError::Unavailable(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                    tokio::time::sleep(TTL / 60).await;
                }
            })
        };
        Self {
            store,
            acknowledged,
            stop,
            writer,
            keeper,
        }
    }

    /// Waits for some more commits, so that etcd is known to serve.
    async fn goes_on(&self) {
        let wanted = self.acknowledged.load(Relaxed) + MORE;
        at_last("more commits", || async {
            assert!(!self.keeper.is_finished(), "the lease ended");
            (self.acknowledged.load(Relaxed) >= wanted).then_some(())
        })
        .await;
    }

    /// Nothing that was acknowledged is missing, and the lease is still there.
    async fn end(self) {
        self.stop.store(true, Relaxed);
        self.writer.await.unwrap();
        self.keeper.await.unwrap();
        let last = self.acknowledged.load(Relaxed).to_string();
        let (entries, _) = store::entries(&*self.store, &crate::prefix())
            .await
            .unwrap();
        let value = |name: &str| {
            let found = entries.iter().find(|entry| entry.key == key(name));
            found.map(|entry| String::from_utf8(entry.value.to_vec()).unwrap())
        };
        assert_eq!(value("step"), Some(last));
        assert_eq!(value("leased"), Some("1".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_is_killed_and_comes_back() {
    let mut etcd = EtcdCluster::start(1);
    let store = over(&etcd);
    let lease = store.grant_lease(TTL * 4).await.unwrap();
    done(
        &store,
        Transaction::new().put_leased(key("leased"), "1", lease),
    )
    .await;
    let watched = Watched::start(&store).await;
    etcd.node(0).kill();
    let away = store.commit(Transaction::new().put(key("away"), "1")).await;
    assert!(
        matches!(
            away,
            Err(StoreError::Unavailable(_) | StoreError::Unknown(_))
        ),
        "{away:?}"
    );
    assert!(matches!(
        store.keep_alive(lease).await,
        Err(StoreError::Unavailable(_))
    ));
    etcd.node(0).begin();
    put_at_last(&store, "back", "1").await;
    store.keep_alive(lease).await.unwrap();
    watched.agrees_with(&store).await;
    assert_eq!(
        watched.replica.relists(),
        0,
        "the watch went on where it was"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_begins_while_etcd_is_away() {
    let mut etcd = EtcdCluster::start(1);
    etcd.node(0).kill();
    let store = over(&etcd);
    assert!(matches!(
        store.reach().await,
        Err(StoreError::Unavailable(_))
    ));
    etcd.node(0).begin();
    put_at_last(&store, "a", "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_three_is_killed_in_turn() {
    let mut etcd = EtcdCluster::start(3);
    let store = over(&etcd);
    let watched = Watched::start(&store).await;
    let load = Load::start(store.clone()).await;
    for at in 0..3 {
        load.goes_on().await;
        etcd.node(at).kill();
        load.goes_on().await;
        etcd.node(at).begin();
        assert!(etcd.wait_until_healthy());
    }
    load.end().await;
    watched.agrees_with(&store).await;
    assert_eq!(watched.replica.relists(), 0);
}

/// A member that hangs keeps its connections and takes new ones; only the silence tells.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_three_hangs_in_turn_and_then_the_leader() {
    let mut etcd = EtcdCluster::start(3);
    let store = over(&etcd);
    let watched = Watched::start(&store).await;
    let load = Load::start(store.clone()).await;
    for turn in 0..4 {
        let at = if turn < 3 { turn } else { etcd.leader() };
        load.goes_on().await;
        etcd.node(at).pause();
        load.goes_on().await;
        let seen = put_at_last(&store, "meanwhile", &turn.to_string()).await;
        assert!(watched.replica.reached(seen, crate::PATIENCE).await);
        etcd.node(at).resume();
        assert!(etcd.wait_until_healthy());
    }
    load.end().await;
    watched.agrees_with(&store).await;
    let counters = store.counters();
    assert!(counters.connects >= 2, "{counters:?}");
}

/// Whoever holds a lease hears that it ended while etcd was away, and grants anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ended_during_an_outage_is_told() {
    let etcd = EtcdCluster::start(1);
    let wire = crate::wire::Wire::to(&etcd.endpoints()[0]).await;
    let far = crate::connect(store::EtcdConfig::new([wire.endpoint()]));
    let near = over(&etcd);
    let lease = far.grant_lease(store::MIN_LEASE_TTL).await.unwrap();
    let begin = done(
        &far,
        Transaction::new().put_leased(key("leased"), "1", lease),
    )
    .await;
    let mut watch = near.watch(&crate::prefix(), begin).await.unwrap();
    wire.cut();
    while watch.next().await.unwrap().events.is_empty() {}
    wire.mend();
    let error = loop {
        match far.keep_alive(lease).await {
            Err(StoreError::Unavailable(_)) => tokio::time::sleep(AGAIN).await,
            other => break other,
        }
    };
    assert_eq!(error, Err(StoreError::LeaseGone(lease)));
    let anew = far.grant_lease(TTL).await.unwrap();
    done(
        &far,
        Transaction::new().put_leased(key("leased"), "2", anew),
    )
    .await;
    assert_eq!(far.counters().leases_gone, 1);
    put(&near, "end", "1").await;
}
