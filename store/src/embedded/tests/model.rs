//! Random histories against a plain map: every commit, every revision read again, every watch.

use std::collections::BTreeMap;

use ::model::Revision;
use proptest::prelude::*;

use super::*;
use crate::{Change, Condition, Entry, Key, Operation, Range, layout};

type State = BTreeMap<Key, Entry>;

#[derive(Clone, Debug)]
enum Step {
    Put(u8, bool),
    Delete(u8),
    IfAbsent(u8),
    IfModifiedAt(u8, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..6u8, any::<bool>()).prop_map(|(key, leased)| Step::Put(key, leased)),
        2 => (0..6u8).prop_map(Step::Delete),
        1 => (0..6u8).prop_map(Step::IfAbsent),
        1 => (0..6u8, 0..20u64).prop_map(|(key, at)| Step::IfModifiedAt(key, at)),
    ]
}

fn key(number: u8) -> Key {
    match number {
        5 => "account/acc_1/profile".parse().unwrap(),
        number => layout::edge(&format!("e{number}").parse().unwrap()),
    }
}

fn transaction(steps: &[Step], lease: LeaseId) -> Transaction {
    let add = |transaction: Transaction, step: &Step| match step {
        Step::Put(n, true) => transaction.put_leased(key(*n), "x", lease),
        Step::Put(n, false) => transaction.put(key(*n), "y"),
        Step::Delete(n) => transaction.delete(key(*n)),
        Step::IfAbsent(n) => transaction.if_absent(key(*n)),
        Step::IfModifiedAt(n, at) => transaction.if_revision(key(*n), Revision(*at)),
    };
    steps.iter().fold(Transaction::new(), add)
}

/// The same in ten lines, without disk, history or leases' end.
fn expect(state: &State, transaction: &Transaction, next: Revision) -> Option<State> {
    let holds = |condition: &Condition| {
        condition.holds(state.get(condition.key()).map(|entry| entry.modified))
    };
    if !transaction.conditions().iter().all(holds) {
        return None;
    }
    let mut after = state.clone();
    for operation in transaction.operations() {
        match operation {
            Operation::Delete(key) => drop(after.remove(key)),
            Operation::Put { key, value, lease } => {
                let entry = Entry {
                    key: key.clone(),
                    value: value.bytes().clone(),
                    created: state.get(key).map_or(next, |entry| entry.created),
                    modified: next,
                    lease: *lease,
                };
                after.insert(key.clone(), entry);
            }
        }
    }
    Some(after)
}

async fn read(store: &Embedded, at: Revision, page: usize) -> Vec<Entry> {
    let (mut found, mut next) = (Vec::new(), Some(Range::from(&layout::edges())));
    while let Some(range) = next {
        let page = store.read(&range, Some(at), page).await.unwrap();
        found.extend(page.entries);
        next = page.next;
    }
    found
}

fn edges(state: &State) -> Vec<Entry> {
    let own = |entry: &&Entry| layout::edges().contains(&entry.key);
    state.values().filter(own).cloned().collect()
}

async fn check(commits: Vec<Vec<Step>>, page: usize) -> Result<(), TestCaseError> {
    let store = Embedded::in_memory().unwrap();
    let lease = store.grant_lease(MAX_LEASE_TTL).await.unwrap();
    let mut states = vec![(Revision::ZERO, State::new())];
    for steps in commits {
        let transaction = transaction(&steps, lease);
        if transaction.check().is_err() {
            continue;
        }
        let (at, state) = states.last().cloned().unwrap();
        let expected = expect(&state, &transaction, at.next());
        let commit = store.commit(transaction).await.unwrap();
        match expected {
            None => prop_assert_eq!(commit, Commit::Conflict),
            Some(after) if after == state => prop_assert_eq!(commit, Commit::Done(at)),
            Some(after) => {
                prop_assert_eq!(commit, Commit::Done(at.next()));
                states.push((at.next(), after));
            }
        }
    }
    for (at, state) in &states {
        prop_assert_eq!(read(&store, *at, page).await, edges(state));
        watch_from(&store, *at, state, &states).await?;
    }
    Ok(())
}

/// Events after `at` turn its state into every later one.
async fn watch_from(
    store: &Embedded,
    at: Revision,
    state: &State,
    states: &[(Revision, State)],
) -> Result<(), TestCaseError> {
    let mut watch = store.watch(&layout::edges(), at).await.unwrap();
    let mut now = state.clone();
    now.retain(|key, _| layout::edges().contains(key));
    let newest = states.last().unwrap().0;
    let mut seen = at;
    while seen < newest {
        let batch = watch.next().await.unwrap();
        prop_assert!(batch.revision > seen);
        seen = batch.revision;
        for event in batch.events {
            match event.change {
                Change::Put(entry) => drop(now.insert(entry.key.clone(), entry)),
                Change::Delete(key) => prop_assert!(now.remove(&key).is_some()),
            }
        }
        let then = states
            .iter()
            .find(|(revision, _)| *revision == seen)
            .unwrap();
        let now: Vec<_> = now.values().cloned().collect();
        prop_assert_eq!(now, edges(&then.1));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn behaves_as_a_plain_map(
        commits in proptest::collection::vec(proptest::collection::vec(step(), 1..4), 0..24),
        page in 1..4usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time()
            .start_paused(true).build().unwrap();
        let in_time = async { tokio::time::timeout(Duration::from_secs(60), check(commits, page)).await };
        runtime.block_on(in_time).expect("it hangs")?;
    }
}
