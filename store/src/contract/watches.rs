//! Watches: in order, without gaps, or told so.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{FutureExt, future::join};
use model::Revision;

use super::{PATIENCE, Subject, all, done, elsewhere, key, newest, next, prefix, put, row, told};
use crate::{Change, SharedStore, StoreError, Transaction, Value, Watch, WatchError};

const WRITERS: usize = 4;
const STEPS: usize = 25;

pub async fn every_change_comes_once_and_in_order(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let begin = newest(&store).await;
    let watch = store.watch(&prefix(), begin).await.unwrap();
    let writers = futures_util::future::join_all((0..WRITERS).map(|at| write(&store, at)));
    let (seen, _) = join(follow(watch, begin), writers).await;
    assert_eq!(seen, all(&store).await.into_iter().collect());
}

async fn write(store: &SharedStore, writer: usize) {
    for step in 0..STEPS {
        let own = key(&format!("{writer}-{}", step % 3));
        let transaction = match step % 5 {
            4 => Transaction::new().delete(own),
            _ => Transaction::new().put(own, Value::json(&step).unwrap()),
        };
        done(
            store,
            transaction.put(key(&format!("{writer}-last")), Value::json(&step).unwrap()),
        )
        .await;
    }
}

/// Everything the events add up to, when the last change of every writer was seen.
async fn follow(mut watch: Watch, begin: Revision) -> BTreeMap<String, String> {
    let (mut seen, mut last) = (BTreeMap::new(), begin);
    let last_step = (STEPS - 1).to_string();
    let ended = |seen: &BTreeMap<String, String>| {
        (0..WRITERS).all(|at| seen.get(&format!("{at}-last")) == Some(&last_step))
    };
    let mut steps = BTreeMap::<String, usize>::new();
    while !ended(&seen) {
        let batch = next(&mut watch).await;
        assert!(batch.revision > last, "revisions rise");
        last = batch.revision;
        for event in batch.events {
            assert_eq!(event.revision, last, "a batch is one commit");
            match event.change {
                Change::Put(entry) => {
                    assert_eq!(entry.modified, last);
                    let (key, value) = row(&entry);
                    if key.ends_with("-last") {
                        let step = steps.entry(key.clone()).or_default();
                        assert_eq!(value, step.to_string(), "no step is left out");
                        *step += 1;
                    }
                    seen.insert(key, value);
                }
                Change::Delete(key) => {
                    let key = key.as_str().trim_start_matches("public/edge/").to_owned();
                    assert!(seen.remove(&key).is_some(), "only what is there is deleted");
                }
            }
        }
    }
    seen
}

pub async fn a_commit_is_one_batch(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let begin = put(&store, "a", "1").await;
    let mut watch = store.watch(&prefix(), begin).await.unwrap();
    let transaction = Transaction::new()
        .put(key("b"), "2")
        .put(elsewhere(), "x")
        .delete(key("a"))
        .put(key("c"), "3");
    let revision = done(&store, transaction).await;
    let batch = next(&mut watch).await;
    assert_eq!(batch.revision, revision);
    assert_eq!(told(&batch), ["+b 2", "+c 3", "-a"]);
}

pub async fn a_watch_begins_in_the_past(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let begin = newest(&store).await;
    let first = put(&store, "a", "1").await;
    let second = put(&store, "a", "2").await;
    let third = done(&store, Transaction::new().delete(key("a"))).await;
    let mut all_of_it = store.watch(&prefix(), begin).await.unwrap();
    let mut part_of_it = store.watch(&prefix(), first).await.unwrap();
    for (revision, event) in [(first, "+a 1"), (second, "+a 2"), (third, "-a")] {
        let batch = next(&mut all_of_it).await;
        assert_eq!(
            (batch.revision, told(&batch)),
            (revision, vec![event.into()])
        );
    }
    assert_eq!(next(&mut part_of_it).await.revision, second);
}

pub async fn other_prefixes_come_as_progress_only(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let begin = newest(&store).await;
    let mut watch = store.watch(&prefix(), begin).await.unwrap();
    let revision = done(&store, Transaction::new().put(elsewhere(), "x")).await;
    let progress = async {
        loop {
            let batch = watch.next().await.unwrap();
            assert_eq!(batch.events, []);
            if batch.revision >= revision {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, progress)
        .await
        .expect("no progress came");
}

pub async fn giving_up_waiting_loses_nothing(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let begin = newest(&store).await;
    let mut watch = store.watch(&prefix(), begin).await.unwrap();
    for name in ["a", "b", "c"] {
        for _ in 0..3 {
            // Polled once and dropped, whatever came of it, as a lost branch of a select! is.
            assert!(
                watch
                    .next()
                    .now_or_never()
                    .is_none_or(|batch| batch.unwrap().events.is_empty())
            );
        }
        let revision = put(&store, name, "1").await;
        assert_eq!(next(&mut watch).await.revision, revision);
    }
}

pub async fn a_watch_that_fell_behind_is_told(subject: &dyn Subject) {
    let store = subject.fresh_to_forget().await;
    let past = newest(&store).await;
    put(&store, "a", "1").await;
    put(&store, "b", "1").await;
    subject.forget(&store).await;
    let told = match store.watch(&prefix(), past).await {
        Ok(mut watch) => first_error(&mut watch).await,
        Err(StoreError::Compacted { oldest }) => WatchError::Compacted { oldest },
        Err(error) => panic!("{error}"),
    };
    let WatchError::Compacted { oldest } = told else {
        panic!("{told}");
    };
    assert!(oldest > past);
    let (entries, revision) = crate::entries(&*store, &prefix()).await.unwrap();
    assert!(entries.len() >= 2 && revision >= oldest);
    let mut watch = store.watch(&prefix(), revision).await.unwrap();
    let after = put(&store, "c", "1").await;
    assert_eq!(next(&mut watch).await.revision, after);
}

async fn first_error(watch: &mut Watch) -> WatchError {
    let waiting = async {
        loop {
            match watch.next().await {
                Ok(batch) => assert_eq!(batch.events, [], "a gap must not be passed over"),
                Err(error) => return error,
            }
        }
    };
    tokio::time::timeout(PATIENCE + Duration::from_secs(1), waiting)
        .await
        .expect("nothing was told")
}
