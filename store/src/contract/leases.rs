//! Leases: silence ends them, and their keys go along.

use std::time::Duration;

use super::{PATIENCE, Subject, all, done, key, next, prefix, put, rows, told};
use crate::{MIN_LEASE_TTL, StoreError, Transaction};

pub async fn a_silent_lease_takes_its_keys(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let lease = store.grant_lease(MIN_LEASE_TTL).await.unwrap();
    let leased = Transaction::new()
        .put_leased(key("a"), "1", lease)
        .put_leased(key("b"), "1", lease)
        .put(key("c"), "1");
    let begin = done(&store, leased).await;
    let found = super::entry(&store, &key("a")).await.unwrap();
    assert_eq!(found.lease, Some(lease));
    let mut watch = store.watch(&prefix(), begin).await.unwrap();
    let batch = next(&mut watch).await;
    assert_eq!(told(&batch), ["-a", "-b"]);
    assert!(batch.revision > begin);
    assert_eq!(all(&store).await, rows(&[("c", "1")]));
    assert_eq!(
        store.keep_alive(lease).await,
        Err(StoreError::LeaseGone(lease))
    );
}

pub async fn a_lease_kept_alive_stays(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let kept = store.grant_lease(MIN_LEASE_TTL).await.unwrap();
    let silent = store.grant_lease(MIN_LEASE_TTL).await.unwrap();
    let leased = Transaction::new()
        .put_leased(key("kept"), "1", kept)
        .put_leased(key("silent"), "1", silent);
    let begin = done(&store, leased).await;
    let mut watch = store.watch(&prefix(), begin).await.unwrap();
    let mut beat = tokio::time::interval(MIN_LEASE_TTL / 5);
    let keep = async {
        loop {
            beat.tick().await;
            store.keep_alive(kept).await.unwrap();
        }
    };
    tokio::select! {
        batch = next(&mut watch) => assert_eq!(told(&batch), ["-silent"]),
        () = keep => {}
    }
    assert_eq!(all(&store).await, rows(&[("kept", "1")]));
}

pub async fn a_revoked_lease_is_gone_for_good(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let lease = store.grant_lease(PATIENCE).await.unwrap();
    let other = store.grant_lease(PATIENCE).await.unwrap();
    let leased = Transaction::new()
        .put_leased(key("a"), "1", lease)
        .put_leased(key("b"), "1", lease)
        .put_leased(key("c"), "1", other);
    let begin = done(&store, leased).await;
    let mut watch = store.watch(&prefix(), begin).await.unwrap();
    store.revoke_lease(lease).await.unwrap();
    assert_eq!(all(&store).await, rows(&[("c", "1")]));
    assert_eq!(told(&next(&mut watch).await), ["-a", "-b"]);
    let gone = StoreError::LeaseGone(lease);
    assert_eq!(store.keep_alive(lease).await, Err(gone.clone()));
    assert_eq!(store.revoke_lease(lease).await, Err(gone.clone()));
    let late = Transaction::new()
        .put(key("d"), "1")
        .put_leased(key("a"), "1", lease);
    assert_eq!(store.commit(late).await, Err(gone));
    assert_eq!(all(&store).await, rows(&[("c", "1")]));
}

pub async fn a_key_can_leave_its_lease(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let first = store.grant_lease(PATIENCE).await.unwrap();
    let second = store.grant_lease(PATIENCE).await.unwrap();
    let leased = Transaction::new()
        .put_leased(key("stays"), "1", first)
        .put_leased(key("freed"), "1", first)
        .put_leased(key("moved"), "1", first)
        .put_leased(key("deleted"), "1", first);
    done(&store, leased).await;
    let changed = Transaction::new()
        .put_leased(key("stays"), "2", first)
        .put(key("freed"), "2")
        .put_leased(key("moved"), "2", second)
        .delete(key("deleted"));
    done(&store, changed).await;
    put(&store, "deleted", "2").await;
    store.revoke_lease(first).await.unwrap();
    let left = [("deleted", "2"), ("freed", "2"), ("moved", "2")];
    assert_eq!(all(&store).await, rows(&left));
    store.revoke_lease(second).await.unwrap();
    assert_eq!(all(&store).await, rows(&[("deleted", "2"), ("freed", "2")]));
}

pub async fn a_lease_has_a_least_time(subject: &dyn Subject) {
    let store = subject.fresh().await;
    for ttl in [
        Duration::ZERO,
        MIN_LEASE_TTL - Duration::from_millis(1),
        Duration::MAX,
    ] {
        let refused = store.grant_lease(ttl).await;
        assert_eq!(refused, Err(StoreError::LeaseTtl(ttl)));
    }
}
