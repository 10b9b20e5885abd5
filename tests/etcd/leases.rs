//! Leases with many keys.

use std::time::Duration;

use store::{Change, MAX_LEASE_KEYS, Store, StoreError, Transaction};
use tests::EtcdCluster;

use crate::{done, key, over, prefix};

const TTL: Duration = Duration::from_secs(60);
const AT_ONCE: usize = 100;

/// As long as keys may be, so that the end of a full lease is the largest event there can be: more than one message.
fn long(at: usize) -> store::Key {
    key(&format!("{}{at:04}", "k".repeat(490)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_lease_ends_in_one_commit() {
    let etcd = EtcdCluster::start(1);
    let store = over(&etcd);
    let lease = store.grant_lease(TTL).await.unwrap();
    let mut last = model::Revision::ZERO;
    for first in (0..MAX_LEASE_KEYS).step_by(AT_ONCE) {
        let some = (first..first + AT_ONCE).fold(Transaction::new(), |all, at| {
            all.put_leased(long(at), "x", lease)
        });
        last = done(&store, some).await;
    }
    let one_more = Transaction::new().put_leased(key("more"), "x", lease);
    assert_eq!(
        store.commit(one_more.clone()).await,
        Err(StoreError::LeaseFull(lease))
    );
    done(&store, Transaction::new().delete(long(0))).await;
    last = done(&store, one_more).await.max(last);

    let mut watch = store.watch(&prefix(), last).await.unwrap();
    store.revoke_lease(lease).await.unwrap();
    let batch = loop {
        let batch = watch.next().await.unwrap();
        if !batch.events.is_empty() {
            break batch;
        }
    };
    assert_eq!(batch.events.len(), MAX_LEASE_KEYS);
    assert!(
        batch
            .events
            .iter()
            .all(|event| matches!(event.change, Change::Delete(_)))
    );
    let counters = store.counters();
    assert!(
        counters.fragments > 0 && counters.leases_full == 1,
        "{counters:?}"
    );
}
