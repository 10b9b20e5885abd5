//! One of three members is cut off from the others, but not from us: it answers, and must not be believed.

use store::{EtcdConfig, Range, Store};
use tests::{EtcdCluster, EtcdOptions, Namespaces};

use crate::{at_last, connect, key, put, put_at_last, watched::Watched};

#[tokio::test(flavor = "multi_thread")]
async fn a_member_without_the_others_is_left() {
    let hosts = Namespaces::new(3);
    let etcd = EtcdCluster::start_in(&hosts, &EtcdOptions::default());
    let endpoints = etcd.endpoints();
    let leader = etcd.leader();
    // First to the leader alone, so that this is where the watch and the calls are.
    let mut order = vec![endpoints[leader].clone()];
    let store = connect(EtcdConfig::new(order.clone()));
    order.extend(
        endpoints
            .iter()
            .filter(|endpoint| **endpoint != order[0])
            .cloned()
            .collect::<Vec<_>>(),
    );
    let everywhere = connect(EtcdConfig::new(order));
    let watched = Watched::start(&everywhere).await;
    put(&store, "before", "1").await;
    watched.agrees_with(&everywhere).await;

    hosts.cut_off(leader);
    let during = put_at_last(&everywhere, "during", "1").await;
    assert!(
        watched.replica.reached(during, crate::PATIENCE).await,
        "{:?}",
        watched.replica
    );
    // Whoever knows only the lost member hears that it has no leader, instead of what it last knew.
    let read = store.read(&Range::from(&key("during")), None, 1).await;
    assert!(read.is_err(), "{read:?}");

    hosts.join(leader);
    at_last("the lost member to catch up", || async {
        let read = store
            .read(&Range::from(&key("during")), None, 1)
            .await
            .ok()?;
        (read.entries.len() == 1).then_some(())
    })
    .await;
    watched.agrees_with(&store).await;
}
