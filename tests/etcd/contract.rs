//! The contract of every store, on one node and on three.

use std::sync::{
    Arc, Mutex, Weak,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use async_trait::async_trait;
use store::{Etcd, EtcdConfig, SharedStore, contract::Subject};
use tests::EtcdCluster;

/// One etcd for all tests that run at the time; it ends with the last of them.
struct Shared {
    count: usize,
    etcd: Arc<EtcdCluster>,
    /// Compacting is for all of an etcd, so who forgets has one of its own.
    apart: Mutex<Option<EtcdCluster>>,
}

static RUNNING: [Mutex<Weak<EtcdCluster>>; 2] = [const { Mutex::new(Weak::new()) }; 2];
static PREFIXES: AtomicUsize = AtomicUsize::new(0);

impl Shared {
    fn new(count: usize) -> Self {
        let mut running = RUNNING[usize::from(count > 1)].lock().unwrap();
        let etcd = running
            .upgrade()
            .unwrap_or_else(|| Arc::new(EtcdCluster::start(count)));
        *running = Arc::downgrade(&etcd);
        Self {
            count,
            etcd,
            apart: Mutex::default(),
        }
    }
}

fn store(etcd: &EtcdCluster) -> SharedStore {
    let mut config = EtcdConfig::new(etcd.endpoints());
    config.prefix = format!("/adit-{}/", PREFIXES.fetch_add(1, Relaxed));
    Arc::new(Etcd::connect(config).unwrap())
}

#[async_trait]
impl Subject for Shared {
    async fn fresh(&self) -> SharedStore {
        store(&self.etcd)
    }

    async fn fresh_to_forget(&self) -> SharedStore {
        let mut apart = self.apart.lock().unwrap();
        store(apart.get_or_insert_with(|| EtcdCluster::start(self.count)))
    }

    async fn forget(&self, _: &SharedStore) {
        self.apart.lock().unwrap().as_ref().unwrap().compact();
    }
}

mod one_node {
    store::contract_tests!(super::Shared::new(1));
}

mod three_nodes {
    store::contract_tests!(super::Shared::new(3));
}
