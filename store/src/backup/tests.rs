//! A backup is restored byte by byte, and one that is not whole is not restored at all.

use std::sync::Arc;

use model::UnixTime;
use proptest::prelude::*;

use super::*;
use crate::{
    Commit, Embedded, Envelope, KeyEncryptionKey, Prefix, Root, SharedStore, Store, Transaction,
    schema::{self, SchemaError},
    typed,
};

const KEK: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_KEK: &str = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn envelope(kek: &str) -> Envelope {
    Envelope::new(KeyEncryptionKey::from_env(kek).unwrap(), Vec::new())
}

fn store() -> SharedStore {
    Arc::new(Embedded::in_memory().unwrap())
}

async fn put(store: &dyn Store, transaction: Transaction) {
    assert!(matches!(
        store.commit(transaction).await.unwrap(),
        Commit::Done(_)
    ));
}

/// A store with something under every root, and something leased.
async fn filled(accounts: usize) -> SharedStore {
    let store = store();
    schema::prepare(&*store).await.unwrap();
    for n in 0..accounts {
        let key: Key = format!("account/acc_{n}/profile").parse().unwrap();
        put(&*store, Transaction::new().put(key, "{}")).await;
    }
    let secret = layout::dev_ca();
    let sealed = envelope(KEK).seal(&secret, b"a secret").unwrap();
    let public: Key = "public/endpoint/host/a.example".parse().unwrap();
    let audit = layout::audit_record(UnixTime::from_secs(1), &[0; 8]);
    let all = Transaction::new()
        .put(secret, sealed)
        .put(public, "{\"claim\":\"clm_1\"}")
        .put(audit, "{}");
    put(&*store, all).await;
    let lease = store
        .grant_lease(std::time::Duration::from_secs(60))
        .await
        .unwrap();
    let edge: Key = "public/edge/e1".parse().unwrap();
    put(&*store, Transaction::new().put_leased(edge, "{}", lease)).await;
    store
}

async fn exported(store: &SharedStore) -> Vec<u8> {
    let now = UnixTime::from_secs(7);
    let mut export = Export::start(store.clone(), "https://issuer.example", now)
        .await
        .unwrap();
    let mut bytes = Vec::new();
    while let Some(part) = export.next().await.unwrap() {
        bytes.extend(part);
    }
    bytes
}

/// Everything but what is leased, with secrets opened.
async fn contents(store: &dyn Store) -> Vec<(Key, Vec<u8>)> {
    let mut all = Vec::new();
    for root in Root::ALL {
        let (entries, _) = typed::entries(store, &Prefix::from(root)).await.unwrap();
        for entry in entries.into_iter().filter(|entry| entry.lease.is_none()) {
            let value = match root {
                Root::Secret => envelope(KEK)
                    .open(&entry.key, &entry.value)
                    .unwrap()
                    .to_vec(),
                _ => entry.value.to_vec(),
            };
            all.push((entry.key, value));
        }
    }
    all
}

#[tokio::test]
async fn what_was_backed_up_is_what_is_restored() {
    let old = filled(1200).await;
    let bytes = exported(&old).await;
    let backup = read(bytes.as_slice()).unwrap();
    assert_eq!(backup.header.issuer, "https://issuer.example");
    assert_eq!(backup.entries.len(), 1203, "the leased one is left out");
    let new = store();
    let done = restore(&*new, &envelope(KEK), &backup, Over::Nothing)
        .await
        .unwrap();
    assert_eq!((done.entries, done.deleted), (1203, 0));
    assert_eq!(contents(&*new).await, contents(&*old).await);
    schema::prepare(&*new).await.unwrap();
}

#[tokio::test]
async fn a_backup_is_of_one_revision_whatever_happens_meanwhile() {
    let store = filled(1200).await;
    let before = contents(&*store).await.len();
    let mut export = Export::start(store.clone(), "i", UnixTime::from_secs(1))
        .await
        .unwrap();
    let mut bytes = export.next().await.unwrap().unwrap();
    for n in 0..1200 {
        let key: Key = format!("account/acc_{n}/profile").parse().unwrap();
        put(&*store, Transaction::new().delete(key)).await;
    }
    while let Some(part) = export.next().await.unwrap() {
        bytes.extend(part);
    }
    let backup = read(bytes.as_slice()).unwrap();
    assert_eq!(
        backup.entries.len() + 1,
        before,
        "all but the schema version"
    );
}

#[tokio::test]
async fn only_an_empty_store_is_restored_into_unless_told() {
    let old = filled(2).await;
    let backup = read(exported(&old).await.as_slice()).unwrap();
    let new = store();
    let stray: Key = "account/acc_stray/profile".parse().unwrap();
    put(&*new, Transaction::new().put(stray.clone(), "{}")).await;
    let refused = restore(&*new, &envelope(KEK), &backup, Over::Nothing).await;
    assert!(matches!(refused, Err(RestoreError::NotEmpty(key)) if key == stray));
    assert_eq!(contents(&*new).await.len(), 1, "nothing was written");
    let done = restore(&*new, &envelope(KEK), &backup, Over::Everything)
        .await
        .unwrap();
    assert_eq!(done.deleted, 1);
    assert_eq!(contents(&*new).await, contents(&*old).await);
}

#[tokio::test]
async fn another_key_encryption_key_is_found_out_before_the_first_write() {
    let backup = read(exported(&filled(1).await).await.as_slice()).unwrap();
    let new = store();
    let refused = restore(&*new, &envelope(OTHER_KEK), &backup, Over::Nothing).await;
    assert!(
        matches!(refused, Err(RestoreError::Sealed { .. })),
        "{refused:?}"
    );
    assert_eq!(contents(&*new).await, []);
}

#[tokio::test]
async fn a_restore_that_was_interrupted_is_finished_and_nobody_works_on_a_half() {
    let old = filled(300).await;
    let backup = read(exported(&old).await.as_slice()).unwrap();
    let new = store();
    let marker = Marker {
        sha256: backup.sha256.clone(),
    };
    let (key, value) = &backup.entries[0];
    let half = Transaction::new()
        .put(layout::restore(), crate::Value::json(&marker).unwrap())
        .put(key, value.clone());
    put(&*new, half).await;
    let refused = schema::prepare(&*new).await;
    assert!(matches!(refused, Err(SchemaError::Restoring)));
    let other = read(exported(&filled(1).await).await.as_slice()).unwrap();
    let refused = restore(&*new, &envelope(KEK), &other, Over::Everything).await;
    assert!(matches!(refused, Err(RestoreError::Another)), "{refused:?}");
    restore(&*new, &envelope(KEK), &backup, Over::Nothing)
        .await
        .unwrap();
    assert_eq!(contents(&*new).await, contents(&*old).await);
}

#[tokio::test]
async fn what_is_not_a_whole_backup_is_refused() {
    let bytes = exported(&filled(3).await).await;
    for cut in 0..bytes.len() {
        assert!(read(&bytes[..cut]).is_err(), "cut off at {cut}");
    }
    let text = String::from_utf8(bytes.clone()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let without = |n: usize| {
        let left = lines.iter().enumerate().filter(|(i, _)| *i != n);
        left.map(|(_, line)| *line).collect::<String>()
    };
    assert!(matches!(
        read(without(1).as_bytes()),
        Err(BackupError::Changed)
    ));
    assert!(matches!(
        read(without(0).as_bytes()),
        Err(BackupError::NotOne)
    ));
    let twice = format!("{text}{}", lines[1]);
    assert!(matches!(read(twice.as_bytes()), Err(BackupError::Trailing)));
    let newer = text.replacen("\"adit-backup\":1", "\"adit-backup\":2", 1);
    assert!(matches!(
        read(newer.as_bytes()),
        Err(BackupError::Format(2))
    ));
    let newer = text.replacen("\"schema\":1", "\"schema\":9", 1);
    assert!(matches!(
        read(newer.as_bytes()),
        Err(BackupError::Schema(9))
    ));
    for other in ["", "\n", "{}", "null\n", "SQLite format 3"] {
        assert!(
            matches!(read(other.as_bytes()), Err(BackupError::NotOne)),
            "{other}"
        );
    }
}

fn written(entries: &std::collections::BTreeMap<Key, Vec<u8>>) -> Vec<u8> {
    let header = Header {
        format: FORMAT,
        schema: 1,
        revision: Revision(9),
        issuer: "i".into(),
        created: UnixTime::from_secs(1),
    };
    let (mut writer, mut bytes) = Writer::start(&header).unwrap();
    for (key, value) in entries {
        bytes.extend(writer.entry(key, value).unwrap());
    }
    bytes.extend(writer.finish().unwrap());
    bytes
}

proptest! {
    #[test]
    fn any_values_come_back(
        entries in proptest::collection::btree_map(
            "(account|audit|public)/[a-z*.:-]{1,9}(/[a-z]{1,5})?".prop_map(|key| key.parse::<Key>().unwrap()),
            proptest::collection::vec(any::<u8>(), 0..64),
            0..12,
        ),
    ) {
        let entries = entries.into_iter().filter(|(key, _)| !is_bookkeeping(key)).collect();
        let backup = read(written(&entries).as_slice()).unwrap();
        let back = backup.entries.into_iter().map(|(key, value)| (key, value.to_vec())).collect();
        prop_assert_eq!(entries, back);
    }

    #[test]
    fn one_changed_byte_is_found_out(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let entries = [("account/a/profile", "one"), ("public/endpoint/port/1", "two")];
        let entries = entries.map(|(key, value)| (key.parse().unwrap(), value.as_bytes().to_vec()));
        let mut bytes = written(&entries.into());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(read(bytes.as_slice()).is_err());
    }
}
