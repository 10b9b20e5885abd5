//! Agents over QUIC: connections to the edge's own names, and to no other.

use std::{
    collections::HashMap,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use aws_lc_rs::hmac;
use model::{Congestion, HostPattern, Hostname};
use quinn::{
    ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, Incoming, TokioRuntime,
};
use rand::Rng;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::time::{interval_at, timeout};
use tunnel::quic::{self, QuicTransport};

use super::{Front, strangers::Stranger};
use crate::{
    CertificateError, CertificateSource, ResetKey,
    bounds::{CERTIFICATE_FRESH, HANDSHAKE_WITHIN},
    certificate,
    metrics::Hit,
    session,
};

/// Bytes of a connection id: enough that two are never alike.
const CONNECTION_ID: usize = 8;

/// The certificates of the own names, at hand when a handshake comes.
#[derive(Debug)]
pub(crate) struct OwnCertificates {
    names: Vec<Hostname>,
    source: Arc<dyn CertificateSource>,
    keys: RwLock<HashMap<Hostname, Arc<CertifiedKey>>>,
    /// The version of the source when it was first asked.
    loaded: u64,
}

impl OwnCertificates {
    pub(crate) async fn load(
        names: Vec<Hostname>,
        source: Arc<dyn CertificateSource>,
    ) -> Result<Arc<Self>, CertificateError> {
        let own = Self {
            names,
            loaded: source.version(),
            source,
            keys: RwLock::default(),
        };
        own.renew().await?;
        Ok(Arc::new(own))
    }

    /// Looks for newer ones from time to time, for as long as it runs.
    pub(crate) async fn keep_fresh(&self) {
        let first = tokio::time::Instant::now() + CERTIFICATE_FRESH;
        let mut ticks = interval_at(first, CERTIFICATE_FRESH);
        // Certificates that changed between the start and now are older than what is seen here, and are taken at once.
        let mut seen = self.loaded;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.source.changed(seen) => {}
            }
            seen = self.source.version();
            if let Err(error) = self.renew().await {
                tracing::warn!(%error, "the edge keeps the certificate that it has");
            }
        }
    }

    async fn renew(&self) -> Result<(), CertificateError> {
        for name in &self.names {
            let key = self
                .source
                .certificate(&HostPattern::Exact(name.clone()))
                .await?;
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            keys.insert(name.clone(), key);
        }
        Ok(())
    }
}

impl ResolvesServerCert for OwnCertificates {
    /// None, and so no certificate at all, for names that are not the edge's own.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name: Hostname = hello.server_name()?.parse().ok()?;
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&name)
            .cloned()
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum QuicError {
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error(transparent)]
    Socket(#[from] std::io::Error),
}

pub(crate) fn endpoint(
    socket: UdpSocket,
    own: Arc<OwnCertificates>,
    reset_key: Option<&ResetKey>,
    congestion: Congestion,
) -> Result<Endpoint, QuicError> {
    let mut tls = certificate::server_config(own)?;
    tls.ignore_client_order = true;
    let config = quic::server_config(tls, congestion)?;
    let endpoint = reset_key.map_or_else(EndpointConfig::default, endpoint_config);
    Ok(Endpoint::new(
        endpoint,
        Some(config),
        socket,
        Arc::new(TokioRuntime),
    )?)
}

/// An endpoint that knows the connection ids of its last life, and can tell their owners that it is over.
fn endpoint_config(key: &ResetKey) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key.bytes())));
    // The default generator marks ids with a key of this start, and passes over those of the last one in silence.
    config.cid_generator(|| Box::new(RandomIds));
    config
}

/// Connection ids without a mark of this start.
struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&rand::rng().random::<[u8; CONNECTION_ID]>())
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Accepts until the edge is leaving; sessions that are open then keep the endpoint.
pub(crate) async fn accept(front: Arc<Front>, endpoint: Endpoint) {
    let leaving = front.stages.leaving.clone();
    while let Some(Some(incoming)) = leaving.run_until_cancelled(endpoint.accept()).await {
        let address = incoming.remote_address();
        if front.strangers.is_crowded(address.ip()) && !incoming.remote_address_validated() {
            // Fails only where the address is validated.
            let _ = incoming.retry();
            continue;
        }
        match front.strangers.take(address.ip()) {
            Some(stranger) => greet(&front, incoming, address, stranger),
            None => incoming.refuse(),
        }
    }
    endpoint.set_server_config(None);
}

fn greet(front: &Arc<Front>, incoming: Incoming, address: SocketAddr, stranger: Stranger) {
    let (front, cut) = (front.clone(), front.stages.cut.clone());
    let sessions = front.stages.sessions.clone();
    // Boxed, as what is waited for under another future takes its place twice.
    let session = Box::pin(async move {
        let handshake = async { incoming.accept()?.await };
        match Box::pin(timeout(HANDSHAKE_WITHIN, handshake)).await {
            Ok(Ok(connection)) => {
                let transport = Arc::new(QuicTransport::new(connection));
                session::serve(front.desk.clone(), transport, stranger).await;
            }
            Ok(Err(error)) => tracing::debug!(peer = %address, %error, "a QUIC handshake fails"),
            Err(_) => front.metrics.hit(Hit::HandshakeTime),
        }
    });
    sessions.spawn(cut.run_until_cancelled_owned(session));
}
