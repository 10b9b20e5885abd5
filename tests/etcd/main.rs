//! The store over real etcd nodes: the contract, and what production does to etcd.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "all of this file is a test"
)]

mod backup;
mod contract;
mod history;
mod leases;
mod members;
mod network;
mod quota;
mod tls;
mod users;
mod watched;
mod wire;

use std::{sync::Arc, time::Duration};

use model::Revision;
use store::{Commit, Etcd, EtcdConfig, Key, Prefix, Store, StoreError, Transaction};
use tests::EtcdCluster;

/// Longer than anything takes when nothing is wrong, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries of what has no event to wait for.
const AGAIN: Duration = Duration::from_millis(50);

fn over(etcd: &EtcdCluster) -> Arc<Etcd> {
    connect(EtcdConfig::new(etcd.endpoints()))
}

fn connect(config: EtcdConfig) -> Arc<Etcd> {
    Arc::new(Etcd::connect(config).unwrap())
}

fn key(name: &str) -> Key {
    format!("public/edge/{name}").parse().unwrap()
}

fn elsewhere() -> Key {
    "account/acc_1/profile".parse().unwrap()
}

fn prefix() -> Prefix {
    "public/edge/".parse().unwrap()
}

async fn done(store: &Etcd, transaction: Transaction) -> Revision {
    match store.commit(transaction).await.unwrap() {
        Commit::Done(revision) => revision,
        Commit::Conflict => panic!("a commit that nothing speaks against was refused"),
    }
}

async fn put(store: &Etcd, name: &str, value: &str) -> Revision {
    done(
        store,
        Transaction::new().put(key(name), value.as_bytes().to_vec()),
    )
    .await
}

/// Puts until it is acknowledged, as whoever writes desired state does.
async fn put_at_last(store: &Etcd, name: &str, value: &str) -> Revision {
    let trying = async {
        loop {
            let put = Transaction::new().put(key(name), value.as_bytes().to_vec());
            match store.commit(put).await {
                Ok(Commit::Done(revision)) => return revision,
                Ok(Commit::Conflict) => panic!("a conflict without a condition"),
                Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => {
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, trying)
        .await
        .expect("etcd does not come back")
}

/// Tries until `wanted` gives something.
async fn at_last<T, F: Future<Output = Option<T>>>(what: &str, wanted: impl Fn() -> F) -> T {
    let trying = async {
        loop {
            if let Some(found) = wanted().await {
                return found;
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, trying).await;
    found.unwrap_or_else(|_| panic!("in vain: {what}"))
}
