//! The store of a provider's process, and the keys that lie beside it.

use std::{path::Path, sync::Arc};

use config::StoreSettings;
use edge::ResetKey;
use prometheus_client::registry::Registry;
use store::{
    Embedded, Envelope, Etcd, EtcdConfig, EtcdIdentity, EtcdUser, KeyEncryptionKey, SharedStore,
    StoreError,
};
use zeroize::Zeroizing;

use crate::{
    credentials,
    failure::{Exit, Failure, OrFail},
    observe::{self, Metered},
    places,
};

/// Holds the password of `store.user` where there is no file.
const STORE_PASSWORD: &str = "ADIT_STORE_PASSWORD";

/// The embedded store in a data directory.
pub(crate) async fn open_embedded(
    data_dir: &Path,
    registry: &mut Registry,
) -> Result<SharedStore, Failure> {
    match Embedded::open(&data_dir.join(places::STORE)).await {
        Ok(store) => {
            let store = Arc::new(store);
            observe::embedded(store.clone(), registry);
            Ok(Metered::register(store, registry))
        }
        Err(error @ StoreError::Locked(_)) => Err(Failure::new(Exit::InUse, error)),
        Err(error) => Err(Failure::new(Exit::Failed, error)),
    }
}

/// What opens `secret/`, with a key that is made if there is none.
pub(crate) fn envelope(key_file: &Path) -> Result<Arc<Envelope>, Failure> {
    let key = KeyEncryptionKey::load_or_create_file(key_file);
    let key = key.or_fail(Exit::Failed, "the key of the store")?;
    Ok(Arc::new(Envelope::new(key, Vec::new())))
}

/// 32 random bytes, made at the first start.
pub(crate) fn load_reset_key(path: &Path) -> Result<ResetKey, Failure> {
    if !path.exists() {
        places::write_private(path, &rand::random::<[u8; 32]>())?;
    }
    let bytes = std::fs::read(path).or_fail(Exit::Failed, path.display())?;
    let key = bytes
        .try_into()
        .map_err(|_| Failure::new(Exit::Failed, format!("{} is not a key", path.display())));
    key.map(ResetKey::new)
        .map_err(|failure| failure.advise("delete it: a new one is made"))
}

/// The store that the configuration names. Whether etcd answers shows later: a process starts without it.
pub(crate) async fn open(
    settings: &StoreSettings,
    data_dir: &Path,
    registry: &mut Registry,
) -> Result<SharedStore, Failure> {
    match settings {
        StoreSettings::Embedded => open_embedded(data_dir, registry).await,
        StoreSettings::Etcd(etcd) => {
            let store = Etcd::connect(etcd_config(etcd)?).or_fail(Exit::Usage, "[store]")?;
            let store = Arc::new(store);
            observe::etcd(store.clone(), registry);
            Ok(Metered::register(store, registry))
        }
    }
}

fn etcd_config(etcd: &config::Etcd) -> Result<EtcdConfig, Failure> {
    let mut config = EtcdConfig::new(etcd.endpoints.iter().map(config::BaseUrl::with_port));
    config.prefix.clone_from(&etcd.namespace);
    config.ca.clone_from(&etcd.ca);
    config.identity = etcd
        .certificate
        .clone()
        .map(|(certificate, key)| EtcdIdentity { certificate, key });
    if let Some(name) = etcd.user.clone() {
        let password = etcd_password(etcd.password_file.as_deref())?;
        config.user = Some(EtcdUser { name, password });
    }
    Ok(config)
}

fn etcd_password(file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    if let Some(path) = file {
        let text = credentials::read_bounded(path).map(Zeroizing::new)?;
        return Ok(Zeroizing::new(
            text.trim_end_matches(['\n', '\r']).to_owned(),
        ));
    }
    std::env::var(STORE_PASSWORD)
        .map(Zeroizing::new)
        .map_err(|_| {
            Failure::new(Exit::Usage, "store.user needs a password")
                .advise(format!("password_file = FILE, or set {STORE_PASSWORD}"))
        })
}

/// As [`envelope`], for several control planes: the key is one that they share, and is never made here.
pub(crate) fn shared_envelope(key_file: Option<&Path>) -> Result<Arc<Envelope>, Failure> {
    let advice =
        "openssl rand -base64 32 > FILE; chmod 600 FILE; give the same file to each control plane";
    let path = key_file.ok_or_else(|| {
        Failure::new(Exit::Usage, "there is no key-encryption key").advise(advice)
    })?;
    if !path.exists() {
        let missing = format!(
            "control-plane.key_encryption_key_file: {} is not there",
            path.display()
        );
        return Err(Failure::new(Exit::Usage, missing).advise(advice));
    }
    envelope(path)
}
