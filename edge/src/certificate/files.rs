//! Certificates from files: read at the start, and again when the files change. What cannot be read leaves what there is.

mod read;

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use model::HostPattern;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};
use rustls::sign::CertifiedKey;
use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval},
};

pub use self::read::{CertificateFileError, ReadCertificate};
use crate::{CertificateError, CertificateSource};

/// Between two looks at the files. Renewing programs replace them days before they expire.
const LOOK: Duration = Duration::from_secs(2);

/// Two PEM files: a chain, the leaf first, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What tells a file that was replaced from the one before.
type Stamp = Option<(Duration, u64)>;

#[derive(Debug)]
pub struct FileCertificates {
    files: Vec<CertificateFiles>,
    loaded: RwLock<Vec<ReadCertificate>>,
    version: watch::Sender<u64>,
    reloads: Counter,
    failures: Counter,
    expiry: Gauge,
}

impl FileCertificates {
    /// Reads all of them; one that cannot be used is an error now, and never later.
    pub fn load(
        files: Vec<CertificateFiles>,
        registry: &mut Registry,
    ) -> Result<Arc<Self>, CertificateFileError> {
        let loaded = read_all(&files)?;
        let own = Self {
            files,
            loaded: RwLock::new(loaded),
            version: watch::Sender::new(0),
            reloads: Counter::default(),
            failures: Counter::default(),
            expiry: Gauge::default(),
        };
        own.register(registry);
        own.tell_expiry();
        Ok(Arc::new(own))
    }

    fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("edge");
        registry.register(
            "certificate_reloads",
            "Times that changed certificate files were taken",
            self.reloads.clone(),
        );
        registry.register(
            "certificate_reload_failures",
            "Times that changed certificate files could not be used, and the old ones stayed",
            self.failures.clone(),
        );
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "When the first of the certificates from files expires",
            self.expiry.clone(),
        );
    }

    /// Looks at the files from time to time, and whenever it is `asked`, for as long as it runs.
    pub async fn follow(self: Arc<Self>, asked: Arc<Notify>) {
        let mut seen = self.stamps();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let asked = tokio::select! {
                _ = looks.tick() => false,
                () = asked.notified() => true,
            };
            // Before they are read: what changes meanwhile is seen the next time.
            let now = self.stamps();
            if asked || now != seen {
                seen = now;
                self.reload();
            }
        }
    }

    fn reload(&self) {
        match read_all(&self.files) {
            Ok(loaded) => {
                *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
                self.tell_expiry();
                self.reloads.inc();
                self.version.send_modify(|version| *version += 1);
                tracing::info!("the certificates were read again");
            }
            Err(error) => {
                self.failures.inc();
                tracing::warn!(%error, "the edge keeps the certificates that it has");
            }
        }
    }

    fn stamps(&self) -> Vec<Stamp> {
        let files = self
            .files
            .iter()
            .flat_map(|pair| [&pair.certificate, &pair.key]);
        files
            .map(|path| {
                let data = std::fs::metadata(path).ok()?;
                let changed = data.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
                Some((changed, data.len()))
            })
            .collect()
    }

    fn tell_expiry(&self) {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let first = loaded.iter().map(|read| read.expires).min();
        let secs = first.map_or(0, |at| i64::try_from(at.as_secs()).unwrap_or(i64::MAX));
        self.expiry.set(secs);
        let now = SystemTime::now().into();
        for read in loaded.iter().filter(|read| read.expires <= now) {
            tracing::warn!(names = ?read.names, "a certificate has expired");
        }
    }
}

#[async_trait]
impl CertificateSource for FileCertificates {
    /// The first that names it exactly, else the first whose wildcard covers it.
    async fn certificate(&self, name: &HostPattern) -> Result<Arc<CertifiedKey>, CertificateError> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let exact = loaded.iter().find(|read| read.names.contains(name));
        let found = exact.or_else(|| loaded.iter().find(|read| read.covers(name)));
        found
            .map(|read| read.key.clone())
            .ok_or_else(|| CertificateError {
                name: name.clone(),
                reason: "none of the certificate files covers it".into(),
            })
    }

    fn version(&self) -> u64 {
        *self.version.borrow()
    }

    async fn changed(&self, seen: u64) {
        // The sender lives as long as this does.
        let _ = self
            .version
            .subscribe()
            .wait_for(|version| *version != seen)
            .await;
    }
}

fn read_all(files: &[CertificateFiles]) -> Result<Vec<ReadCertificate>, CertificateFileError> {
    files.iter().map(ReadCertificate::read).collect()
}

#[cfg(test)]
mod tests;
