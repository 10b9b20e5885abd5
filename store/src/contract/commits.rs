//! Commits: conditions decide, then all or nothing.

use futures_util::future::join_all;

use super::{Subject, all, done, elsewhere, entry, key, newest, prefix, put, rows};
use crate::{
    Commit, Envelope, KeyEncryptionKey, MAX_OPERATIONS, MAX_TRANSACTION_BYTES, SharedStore,
    StoreError, Transaction, TransactionError, Value, layout,
};

pub async fn what_was_acknowledged_is_read(subject: &dyn Subject) {
    let store = subject.fresh().await;
    assert_eq!(all(&store).await, []);
    let revision = done(
        &store,
        Transaction::new().put(key("a"), "1").put(key("b"), "2"),
    )
    .await;
    assert_eq!(all(&store).await, rows(&[("a", "1"), ("b", "2")]));
    assert!(newest(&store).await >= revision);
    put(&store, "b", "3").await;
    done(&store, Transaction::new().delete(key("a"))).await;
    assert_eq!(all(&store).await, rows(&[("b", "3")]));
    let json = Value::json(&vec![1, 2]).unwrap();
    let modified = done(&store, Transaction::new().put(key("c"), json)).await;
    let typed = crate::get::<Vec<u32>>(&*store, &key("c")).await.unwrap();
    assert_eq!(typed, Some((vec![1, 2], modified)));
    assert!(crate::get::<String>(&*store, &key("c")).await.is_err());
    assert_eq!(crate::get::<u32>(&*store, &key("d")).await, Ok(None));
}

pub async fn revisions_rise(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let mut last = newest(&store).await;
    for _ in 0..20 {
        let revision = put(&store, "a", "same").await;
        assert!(revision > last);
        assert_eq!(entry(&store, &key("a")).await.unwrap().modified, revision);
        last = revision;
    }
}

pub async fn conditions_decide(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let first = put(&store, "a", "1").await;
    let second = put(&store, "a", "2").await;
    let is = |condition: Transaction| async {
        match store.commit(condition).await.unwrap() {
            Commit::Done(_) => true,
            Commit::Conflict => false,
        }
    };
    let new = Transaction::new;
    assert!(is(new().if_present(key("a"))).await && !is(new().if_absent(key("a"))).await);
    assert!(is(new().if_absent(key("b"))).await && !is(new().if_present(key("b"))).await);
    assert!(is(new().if_revision(key("a"), second)).await);
    assert!(!is(new().if_revision(key("a"), first)).await);
    assert!(!is(new().if_revision(key("b"), second)).await);
    let all_must_hold = new().if_present(key("a")).if_present(key("b"));
    assert!(!is(all_must_hold).await);
    assert!(is(new().if_absent(key("b")).put(key("b"), "1")).await);
    assert!(!is(new().if_absent(key("b")).put(key("b"), "2")).await);
    assert_eq!(all(&store).await, rows(&[("a", "2"), ("b", "1")]));
}

pub async fn a_conflict_changes_nothing(subject: &dyn Subject) {
    let store = subject.fresh().await;
    put(&store, "a", "1").await;
    let transaction = Transaction::new()
        .if_absent(key("b"))
        .if_absent(key("a"))
        .put(key("b"), "2")
        .delete(key("a"));
    assert_eq!(store.commit(transaction).await, Ok(Commit::Conflict));
    assert_eq!(all(&store).await, rows(&[("a", "1")]));
}

pub async fn what_changes_nothing_tells_no_one(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let before = put(&store, "a", "1").await;
    let mut watch = store.watch(&prefix(), before).await.unwrap();
    let checked = done(&store, Transaction::new().delete(key("b"))).await;
    assert!(checked >= before);
    let after = put(&store, "a", "2").await;
    assert_eq!(super::next(&mut watch).await.revision, after);
}

pub async fn a_key_made_anew_is_created_anew(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let created = put(&store, "a", "1").await;
    let modified = put(&store, "a", "2").await;
    let found = entry(&store, &key("a")).await.unwrap();
    assert_eq!((found.created, found.modified), (created, modified));
    done(&store, Transaction::new().delete(key("a"))).await;
    let anew = put(&store, "a", "3").await;
    let found = entry(&store, &key("a")).await.unwrap();
    assert_eq!((found.created, found.modified), (anew, anew));
}

pub async fn a_full_transaction_fits(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let (mut absent, mut present) = (Transaction::new(), Transaction::new());
    let value = vec![b'x'; MAX_TRANSACTION_BYTES / MAX_OPERATIONS - 2 * "public/edge/000".len()];
    for at in 0..MAX_OPERATIONS {
        let key = key(&format!("{at:03}"));
        absent = absent.if_absent(&key).put(&key, value.clone());
        present = present.if_present(&key).delete(&key);
    }
    done(&store, absent).await;
    assert_eq!(all(&store).await.len(), MAX_OPERATIONS);
    done(&store, present).await;
    assert_eq!(all(&store).await, []);
}

pub async fn what_is_no_transaction_is_refused(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let refused = |transaction| async { store.commit(transaction).await.unwrap_err() };
    let (mut puts, mut conditions) = (Transaction::new(), Transaction::new());
    for at in 0..=MAX_OPERATIONS {
        puts = puts.put(key(&at.to_string()), "x");
        conditions = conditions.if_absent(key(&at.to_string()));
    }
    let too_many = StoreError::Transaction(TransactionError::TooManyOperations);
    assert_eq!(refused(puts).await, too_many);
    assert_eq!(refused(conditions).await, too_many);
    let twice = Transaction::new().put(key("a"), "1").delete(key("a"));
    assert_eq!(
        refused(twice).await,
        TransactionError::Twice(key("a")).into()
    );
    let large = Transaction::new().put(key("a"), vec![0; MAX_TRANSACTION_BYTES]);
    assert!(matches!(
        refused(large).await,
        StoreError::Transaction(TransactionError::TooLarge(_))
    ));
    assert_eq!(all(&store).await, []);
}

pub async fn nothing_plain_goes_under_secret(subject: &dyn Subject) {
    let store = subject.fresh().await;
    let key = layout::dev_ca();
    let plain = store.commit(Transaction::new().put(&key, "plain")).await;
    assert_eq!(
        plain,
        Err(TransactionError::PlainSecret(key.clone()).into())
    );
    let kek = KeyEncryptionKey::from_env(&format!("{}=", "A".repeat(43))).unwrap();
    let envelope = Envelope::new(kek, Vec::new());
    let misplaced = envelope.seal(&elsewhere(), b"secret").unwrap();
    let wrong = store.commit(Transaction::new().put(&key, misplaced)).await;
    assert!(matches!(
        wrong,
        Err(StoreError::Transaction(TransactionError::WrongSeal { .. }))
    ));
    assert_eq!(entry(&store, &key).await, None);
    let sealed = envelope.seal(&key, b"secret").unwrap();
    done(&store, Transaction::new().put(&key, sealed)).await;
    let found = entry(&store, &key).await.unwrap();
    assert_eq!(&**envelope.open(&key, &found.value).unwrap(), b"secret");
}

/// Compare and commit is how all of us agree, so: a counter raised by many loses no step.
pub async fn of_rivals_one_wins_each_round(subject: &dyn Subject) {
    const RIVALS: usize = 8;
    const STEPS: usize = 10;
    let store = subject.fresh().await;
    let zero = Value::json(&0).unwrap();
    done(&store, Transaction::new().put(key("count"), zero)).await;
    join_all((0..RIVALS).map(|_| raise(&store, STEPS))).await;
    let count = crate::get::<usize>(&*store, &key("count")).await.unwrap();
    assert_eq!(count.unwrap().0, RIVALS * STEPS);
}

async fn raise(store: &SharedStore, steps: usize) {
    let mut left = steps;
    while left > 0 {
        let found = crate::get::<usize>(&**store, &key("count")).await.unwrap();
        let (count, modified) = found.unwrap();
        let raised = Transaction::new()
            .if_revision(key("count"), modified)
            .put(key("count"), Value::json(&(count + 1)).unwrap());
        if let Commit::Done(_) = store.commit(raised).await.unwrap() {
            left -= 1;
        }
    }
}
