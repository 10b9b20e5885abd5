//! Certificates for the names that end TLS here. The edge asks its source for claimed, reserved and own names only, never
//! for what a stranger puts into a handshake, and keeps what it gets.

mod files;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use model::{ClaimId, HostPattern};
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout},
};

pub use self::files::{CertificateFileError, CertificateFiles, FileCertificates, ReadCertificate};
use crate::{
    bounds::{CERTIFICATE_FRESH, CERTIFICATE_RETRY, CERTIFICATE_WITHIN, CERTIFICATES},
    metrics::{Hit, Metrics},
};

/// Where certificates come from.
#[async_trait]
pub trait CertificateSource: fmt::Debug + Send + Sync + 'static {
    async fn certificate(&self, name: &HostPattern) -> Result<Arc<CertifiedKey>, CertificateError>;

    /// Another number whenever certificates that were given out are to be asked for anew.
    fn version(&self) -> u64 {
        0
    }

    /// Waits until the version is another one than `seen`.
    async fn changed(&self, _seen: u64) {
        std::future::pending().await
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no certificate for {name}: {reason}")]
pub struct CertificateError {
    pub name: HostPattern,
    pub reason: String,
}

/// Which protocols a connection may choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Speaks {
    /// Visitors: h2 and HTTP/1.1.
    Http,
    /// Agents on own names: HTTP/1.1, which can be upgraded.
    Upgrade,
}

/// The TLS configuration of each name.
#[derive(Debug)]
pub(crate) struct Certificates {
    source: Arc<dyn CertificateSource>,
    http: Arc<ServerConfig>,
    upgrade: Arc<ServerConfig>,
    kept: Mutex<HashMap<Wanted, Arc<Kept>>>,
    metrics: Metrics,
}

/// A name under another claim has another owner, and so another key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    pub(crate) name: HostPattern,
    pub(crate) claim: Option<ClaimId>,
    pub(crate) speaks: Speaks,
}

#[derive(Debug)]
struct Kept {
    since: Instant,
    /// Of the source, when it was asked.
    version: u64,
    /// Filled once, by the first of those who wait.
    config: OnceCell<Result<Arc<ServerConfig>, CertificateError>>,
}

/// One certificate, whatever the handshake says: the name was looked at before.
#[derive(Debug)]
struct Only(Arc<CertifiedKey>);

impl Certificates {
    pub(crate) fn new(
        source: Arc<dyn CertificateSource>,
        metrics: Metrics,
    ) -> Result<Self, rustls::Error> {
        let nothing: Arc<dyn ResolvesServerCert> =
            Arc::new(rustls::server::ResolvesServerCertUsingSni::new());
        let base = server_config(nothing)?;
        let speaking = |protocols: &[&[u8]], own_order| {
            let mut config = base.clone();
            config.alpn_protocols = protocols.iter().map(|alpn| alpn.to_vec()).collect();
            config.ignore_client_order = own_order;
            Arc::new(config)
        };
        Ok(Self {
            source,
            // Visitors on small devices may want ChaCha20; agents carry bulk.
            http: speaking(&[b"h2", b"http/1.1"], false),
            upgrade: speaking(&[b"http/1.1"], true),
            kept: Mutex::default(),
            metrics,
        })
    }

    /// The configuration that shows the certificate of `wanted`.
    pub(crate) async fn config(
        &self,
        wanted: Wanted,
    ) -> Result<Arc<ServerConfig>, CertificateError> {
        let kept = self.kept(&wanted, Instant::now(), self.source.version());
        let config = kept.config.get_or_init(|| self.fetch(&wanted)).await;
        config.clone()
    }

    fn kept(&self, wanted: &Wanted, now: Instant, version: u64) -> Arc<Kept> {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = all.get(wanted).filter(|kept| kept.is_fresh(now, version)) {
            return kept.clone();
        }
        if all.len() >= CERTIFICATES {
            all.retain(|_, kept| kept.is_fresh(now, version));
        }
        if all.len() >= CERTIFICATES {
            // Asking again costs the source some work, and the edge none.
            self.metrics.hit(Hit::Certificates);
            all.clear();
        }
        let kept = Arc::new(Kept {
            since: now,
            version,
            config: OnceCell::new(),
        });
        all.insert(wanted.clone(), kept.clone());
        kept
    }

    async fn fetch(&self, wanted: &Wanted) -> Result<Arc<ServerConfig>, CertificateError> {
        let asked = timeout(CERTIFICATE_WITHIN, self.source.certificate(&wanted.name));
        let key = asked.await.unwrap_or_else(|_| {
            self.metrics.hit(Hit::CertificateTime);
            Err(CertificateError {
                name: wanted.name.clone(),
                reason: "it did not come in time".into(),
            })
        })?;
        let base = match wanted.speaks {
            Speaks::Http => &self.http,
            Speaks::Upgrade => &self.upgrade,
        };
        let mut config = ServerConfig::clone(base);
        config.cert_resolver = Arc::new(Only(key));
        Ok(Arc::new(config))
    }
}

impl Kept {
    fn is_fresh(&self, now: Instant, version: u64) -> bool {
        let life = match self.config.get() {
            Some(Err(_)) => CERTIFICATE_RETRY,
            Some(Ok(_)) | None => CERTIFICATE_FRESH,
        };
        self.version == version && now < self.since + life
    }
}

impl ResolvesServerCert for Only {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// TLS 1.2 and 1.3 without client certificates. Tickets are of a key that changes by itself, and only good for the name they
/// were given under.
pub(crate) fn server_config(
    resolver: Arc<dyn ResolvesServerCert>,
) -> Result<ServerConfig, rustls::Error> {
    let provider: Arc<CryptoProvider> = Arc::new(tunnel::tls::provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    Ok(config)
}

#[cfg(test)]
mod tests;
