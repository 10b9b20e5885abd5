//! The contract on memory and on disk, and what only this backend promises.

mod crash;
mod model;
mod own;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use async_trait::async_trait;

use super::*;
use crate::{SharedStore, contract::Subject};

/// Small, so that forgetting takes few commits, and larger than any test of the contract needs.
const HISTORY: usize = 200;

fn options() -> Options {
    Options {
        history_revisions: HISTORY,
        ..Options::default()
    }
}

/// The real way to be forgotten: other things happen.
async fn fill_history(store: &SharedStore) {
    let key: crate::Key = "account/filler/profile".parse().unwrap();
    for _ in 0..=HISTORY {
        let done = store.commit(Transaction::new().put(&key, "x")).await;
        assert!(matches!(done, Ok(Commit::Done(_))));
    }
}

struct Memory;

#[async_trait]
impl Subject for Memory {
    async fn fresh(&self) -> SharedStore {
        Arc::new(Embedded::in_memory_with(options()).unwrap())
    }

    async fn forget(&self, store: &SharedStore) {
        fill_history(store).await;
    }
}

struct Disk {
    folder: tempfile::TempDir,
    files: AtomicUsize,
}

impl Disk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            files: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Subject for Disk {
    async fn fresh(&self) -> SharedStore {
        let file = self.files.fetch_add(1, Relaxed).to_string();
        let store = Embedded::open_with(self.folder.path().join(file), options()).await;
        Arc::new(store.unwrap())
    }

    async fn forget(&self, store: &SharedStore) {
        fill_history(store).await;
    }
}

mod in_memory {
    crate::contract_tests!(super::Memory, start_paused = true);
}

mod on_disk {
    crate::contract_tests!(super::Disk::new(), start_paused = true);
}
