//! What every store must do, as tests. A backend gives a [`Subject`] and calls [`contract_tests!`](crate::contract_tests).
//!
//! Nothing here is true of one backend only: revisions may jump, pages may be short, batches may be empty, and time is only ever
//! waited for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests, compiled for other crates' tests"
)]

mod commits;
mod leases;
mod reads;
mod replicas;
mod watches;

use std::time::Duration;

use async_trait::async_trait;
use model::Revision;

use crate::{Batch, Change, Commit, Entry, Key, Prefix, SharedStore, Transaction, Watch};

pub use commits::*;
pub use leases::*;
pub use reads::*;
pub use replicas::*;
pub use watches::*;

/// Longer than any backend takes when nothing is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// The end of a test that waits for what does not come; some wait several times for a lease to end.
pub const TEST_TIME: Duration = Duration::from_secs(120);

/// A backend under test.
#[async_trait]
pub trait Subject: Send + Sync {
    /// A store in which nothing is yet.
    async fn fresh(&self) -> SharedStore;

    /// One whose history is going to be forgotten. A backend whose stores share their history gives one apart.
    async fn fresh_to_forget(&self) -> SharedStore {
        self.fresh().await
    }

    /// Makes the store forget all history up to now, as if a long time had passed.
    async fn forget(&self, store: &SharedStore);
}

/// One test for each clause of the contract. The first argument is an expression that gives a [`Subject`]; the rest goes to
/// `#[tokio::test(…)]`, where a backend that lives by tokio's clock says `start_paused = true`.
#[macro_export]
macro_rules! contract_tests {
    ($subject:expr $(, $args:meta)*) => {
        $crate::contract_tests! { @each ($subject) ($($args),*)
            what_was_acknowledged_is_read
            revisions_rise
            conditions_decide
            a_conflict_changes_nothing
            what_changes_nothing_tells_no_one
            a_key_made_anew_is_created_anew
            a_full_transaction_fits
            what_is_no_transaction_is_refused
            nothing_plain_goes_under_secret
            of_rivals_one_wins_each_round
            a_prefix_reads_its_own_keys_in_order
            pages_show_one_revision
            a_revision_can_be_read_again
            a_forgotten_revision_is_said_so
            every_change_comes_once_and_in_order
            a_commit_is_one_batch
            a_watch_begins_in_the_past
            other_prefixes_come_as_progress_only
            giving_up_waiting_loses_nothing
            a_watch_that_fell_behind_is_told
            a_silent_lease_takes_its_keys
            a_lease_kept_alive_stays
            a_revoked_lease_is_gone_for_good
            a_key_can_leave_its_lease
            a_lease_has_a_least_time
            a_replica_follows
            a_replica_passes_what_does_not_concern_it
        }
    };
    (@each ($subject:expr) $args:tt $($name:ident)*) => {
        $($crate::contract_tests! { @one ($subject) $args $name })*
    };
    (@one ($subject:expr) ($($args:meta),*) $name:ident) => {
        #[tokio::test($($args),*)]
        async fn $name() {
            let subject = $subject;
            let test = $crate::contract::$name(&subject);
            tokio::time::timeout($crate::contract::TEST_TIME, test).await.expect("it hangs");
        }
    };
}

pub(crate) fn key(name: &str) -> Key {
    format!("public/edge/{name}").parse().unwrap()
}

pub(crate) fn prefix() -> Prefix {
    "public/edge/".parse().unwrap()
}

/// A key that no test's prefix holds.
pub(crate) fn elsewhere() -> Key {
    "account/acc_1/profile".parse().unwrap()
}

async fn done(store: &SharedStore, transaction: Transaction) -> Revision {
    match store.commit(transaction).await.unwrap() {
        Commit::Done(revision) => revision,
        Commit::Conflict => panic!("a commit that nothing speaks against was refused"),
    }
}

async fn put(store: &SharedStore, name: &str, value: &'static str) -> Revision {
    done(store, Transaction::new().put(key(name), value)).await
}

async fn entry(store: &SharedStore, key: &Key) -> Option<Entry> {
    let page = store.read(&key.into(), None, 10).await.unwrap();
    assert!(page.entries.len() <= 1);
    page.entries.into_iter().next()
}

/// Every key under the prefix with its value, as text.
async fn all(store: &SharedStore) -> Vec<(String, String)> {
    let (entries, _) = crate::entries(&**store, &prefix()).await.unwrap();
    entries.iter().map(row).collect()
}

fn row(entry: &Entry) -> (String, String) {
    let name = entry.key.as_str().trim_start_matches("public/edge/");
    let value = String::from_utf8(entry.value.to_vec()).unwrap();
    (name.into(), value)
}

fn rows(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let text = |(key, value): &(&str, &str)| ((*key).into(), (*value).into());
    expected.iter().map(text).collect()
}

/// The newest revision, from a read.
async fn newest(store: &SharedStore) -> Revision {
    let page = store.read(&(&prefix()).into(), None, 1).await.unwrap();
    page.revision
}

/// The next batch that says more than "nothing happened".
async fn next(watch: &mut Watch) -> Batch {
    let waiting = async {
        loop {
            let batch = watch.next().await.unwrap();
            if !batch.events.is_empty() {
                return batch;
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("no event came")
}

/// Events as `+key value` and `-key`.
fn told(batch: &Batch) -> Vec<String> {
    let tell = |change: &Change| match change {
        Change::Put(entry) => format!("+{} {}", row(entry).0, row(entry).1),
        Change::Delete(key) => format!("-{}", key.as_str().trim_start_matches("public/edge/")),
    };
    let mut told: Vec<_> = batch
        .events
        .iter()
        .map(|event| tell(&event.change))
        .collect();
    // Within one commit the order of keys is not promised.
    told.sort_unstable();
    told
}
