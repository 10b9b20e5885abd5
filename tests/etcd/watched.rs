//! A replica whose copy can be compared with what the store holds, and that notes what it was told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use store::{Change, Entry, Etcd, Event, Fold, Replica};
use tokio_util::sync::CancellationToken;

use crate::{PATIENCE, prefix, put_at_last};

pub(crate) type Rows = BTreeMap<String, String>;

#[derive(Default)]
pub(crate) struct Copied {
    rows: Rows,
    told: Arc<Mutex<Vec<String>>>,
}

pub(crate) struct Watched {
    pub(crate) replica: Arc<Replica<Copied>>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Watched {
    /// Watches what the tests put, and has seen all of it.
    pub(crate) async fn start(store: &Arc<Etcd>) -> Self {
        let copied = Copied::default();
        let told = copied.told.clone();
        let cancel = CancellationToken::new();
        let replica = Replica::start(store.clone(), prefix(), copied, cancel);
        assert!(replica.synced().await);
        Self { replica, told }
    }

    pub(crate) fn rows(&self) -> Rows {
        self.replica.read(|copied| copied.rows.clone())
    }

    /// What came since it was asked last: `+name value`, `-name`, or `reset`.
    pub(crate) fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    /// After one more change through `store` is seen, so is all before it; then both must hold the same.
    pub(crate) async fn agrees_with(&self, store: &Etcd) {
        let last = put_at_last(store, "last", "seen?").await;
        assert!(
            self.replica.reached(last, PATIENCE).await,
            "{:?}",
            self.replica
        );
        let (entries, _) = store::entries(store, &prefix()).await.unwrap();
        let held: Rows = entries.iter().map(row).collect();
        assert_eq!(self.rows(), held);
    }
}

impl Fold for Copied {
    fn reset(&mut self, entries: Vec<Entry>) {
        self.rows = entries.iter().map(row).collect();
        self.told.lock().unwrap().push("reset".into());
    }

    fn apply(&mut self, event: &Event) {
        let name = name(event.key());
        let note = match &event.change {
            Change::Put(entry) => {
                let (_, value) = row(entry);
                let note = format!("+{name} {value}");
                self.rows.insert(name, value);
                note
            }
            Change::Delete(_) => {
                self.rows.remove(&name);
                format!("-{name}")
            }
        };
        self.told.lock().unwrap().push(note);
    }
}

fn row(entry: &Entry) -> (String, String) {
    let value = String::from_utf8(entry.value.to_vec()).unwrap();
    (name(&entry.key), value)
}

fn name(key: &store::Key) -> String {
    key.as_str().trim_start_matches("public/edge/").into()
}
