//! QUIC to an edge: one UDP socket for each connection, so that a path that fails takes nothing else along.

use std::{io, sync::Arc, time::Duration};

use model::Congestion;
use rustls::RootCertStore;
use tunnel::quic::QuicTransport;

use super::{Location, unspecified_like, within};

pub(crate) fn config(
    roots: Arc<RootCertStore>,
    congestion: Congestion,
) -> Result<quinn::ClientConfig, rustls::Error> {
    let tls = super::client_config(roots, &[tunnel::quic::ALPN])?;
    tunnel::quic::client_config(Arc::unwrap_or_clone(tls), congestion)
}

/// A finished handshake with whichever address of the edge answers first.
pub(crate) async fn connect(
    location: &Location,
    config: &quinn::ClientConfig,
    deadline: Duration,
) -> io::Result<QuicTransport> {
    let connecting = super::first(location, async |address| {
        let endpoint = quinn::Endpoint::client(unspecified_like(address))?;
        tunnel::quic::connect(&endpoint, address, location.host(), config.clone())
            .await
            .map_err(io::Error::other)
    });
    within(deadline, connecting).await
}
