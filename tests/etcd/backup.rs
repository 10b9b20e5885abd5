//! A backup goes out of one store and into another, whichever engine each of them has.

use std::sync::Arc;

use model::{AccountId, UnixTime};
use store::{
    Commit, Embedded, Envelope, Etcd, EtcdConfig, KeyEncryptionKey, Prefix, Root, SharedStore,
    Transaction,
    backup::{self, Backup, Export, Over, RestoreError},
    layout, schema,
};
use tests::EtcdCluster;

/// More than go into one page or one commit.
const ACCOUNTS: usize = 700;

fn envelope() -> Envelope {
    let kek = KeyEncryptionKey::from_env("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    Envelope::new(kek, Vec::new())
}

fn over(etcd: &EtcdCluster, prefix: &str) -> SharedStore {
    let mut config = EtcdConfig::new(etcd.endpoints());
    config.prefix = prefix.to_owned();
    Arc::new(Etcd::connect(config).unwrap())
}

async fn fill(store: &SharedStore) {
    schema::prepare(&**store).await.unwrap();
    let ids = (0..ACCOUNTS).map(|n| format!("acc_{n}").parse::<AccountId>().unwrap());
    let keys: Vec<_> = ids.map(|id| layout::account(&id)).collect();
    for part in keys.chunks(100) {
        let change = part
            .iter()
            .fold(Transaction::new(), |all, key| all.put(key, "{}"));
        assert!(matches!(
            store.commit(change).await.unwrap(),
            Commit::Done(_)
        ));
    }
    let secret = layout::dev_ca();
    let sealed = envelope().seal(&secret, b"a secret").unwrap();
    let change = Transaction::new().put(secret, sealed);
    assert!(matches!(
        store.commit(change).await.unwrap(),
        Commit::Done(_)
    ));
}

async fn exported(store: &SharedStore) -> Backup {
    let mut export = Export::start(
        store.clone(),
        "https://issuer.example",
        UnixTime::from_secs(7),
    )
    .await
    .unwrap();
    let mut bytes = Vec::new();
    while let Some(part) = export.next().await.unwrap() {
        bytes.extend(part);
    }
    backup::read(bytes.as_slice()).unwrap()
}

/// Keys and values, with the secret opened.
async fn contents(store: &SharedStore) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for root in Root::ALL {
        let (entries, _) = store::entries(&**store, &Prefix::from(root)).await.unwrap();
        for entry in entries {
            let value = match root {
                Root::Secret => envelope().open(&entry.key, &entry.value).unwrap().to_vec(),
                _ => entry.value.to_vec(),
            };
            all.push((entry.key.to_string(), value));
        }
    }
    all
}

#[tokio::test]
async fn a_provider_moves_from_a_file_to_etcd_and_back() {
    let etcd = EtcdCluster::start(1);
    let file: SharedStore = Arc::new(Embedded::in_memory().unwrap());
    fill(&file).await;
    let moved = over(&etcd, "/moved/");
    let backup = exported(&file).await;
    backup::restore(&*moved, &envelope(), &backup, Over::Nothing)
        .await
        .unwrap();
    assert_eq!(contents(&moved).await, contents(&file).await);
    schema::prepare(&*moved).await.unwrap();

    let again = backup::restore(&*moved, &envelope(), &backup, Over::Nothing).await;
    assert!(matches!(again, Err(RestoreError::NotEmpty(_))), "{again:?}");
    let back: SharedStore = Arc::new(Embedded::in_memory().unwrap());
    backup::restore(&*back, &envelope(), &exported(&moved).await, Over::Nothing)
        .await
        .unwrap();
    assert_eq!(contents(&back).await, contents(&file).await);
}

/// The disk of etcd is lost with everything on it; another one takes its place.
#[tokio::test]
async fn a_lost_etcd_is_restored_into_a_new_one() {
    let lost = EtcdCluster::start(1);
    let store = over(&lost, "/adit/");
    fill(&store).await;
    let (backup, before) = (exported(&store).await, contents(&store).await);
    drop(store);
    drop(lost);
    let fresh = EtcdCluster::start(1);
    let store = over(&fresh, "/adit/");
    backup::restore(&*store, &envelope(), &backup, Over::Nothing)
        .await
        .unwrap();
    assert_eq!(contents(&store).await, before);
    schema::prepare(&*store).await.unwrap();
}
