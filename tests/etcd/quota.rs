//! etcd with no room left.

use store::{MIN_LEASE_TTL, Range, Store, StoreError, Transaction};
use tests::{EtcdCluster, EtcdOptions};

use crate::{done, key, over, prefix, put, watched::Watched};

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_quota_is_told_and_outlived() {
    let quota = EtcdOptions {
        arguments: vec!["--quota-backend-bytes=16777216".into()],
        ..EtcdOptions::default()
    };
    let etcd = EtcdCluster::start_with(1, &quota);
    let store = over(&etcd);
    let lease = store.grant_lease(MIN_LEASE_TTL).await.unwrap();
    done(
        &store,
        Transaction::new().put_leased(key("leased"), "1", lease),
    )
    .await;
    let watched = Watched::start(&store).await;
    let error = loop {
        let large = Transaction::new().put(key("large"), vec![b'x'; 1_000_000]);
        if let Err(error) = store.commit(large).await {
            break error;
        }
    };
    let text = error.to_string();
    assert!(
        matches!(error, StoreError::Unavailable(_)) && text.contains("NOSPACE"),
        "{text}"
    );
    store.keep_alive(lease).await.unwrap();
    let page = store
        .read(&Range::from(&key("leased")), None, 1)
        .await
        .unwrap();
    assert_eq!(page.entries.len(), 1);
    // Deleting is not putting, and makes room.
    done(&store, Transaction::new().delete(key("large"))).await;

    etcd.compact();
    etcd.control(&["defrag"]);
    etcd.control(&["alarm", "disarm"]);
    put(&store, "room", "1").await;
    store.keep_alive(lease).await.unwrap();
    watched.agrees_with(&store).await;
    assert_eq!(store::entries(&*store, &prefix()).await.unwrap().0.len(), 3);
}
