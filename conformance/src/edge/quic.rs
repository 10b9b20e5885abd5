//! Section 7.1: what is QUIC's own.

use std::{sync::Arc, time::Duration};

use quinn::crypto::rustls::QuicClientConfig;

use super::{Peer, connect::told};
use crate::case::{Outcome, failed, within};

pub(super) async fn alpn(peer: Peer) -> Outcome {
    let endpoint = client(&peer, b"h3")?;
    let connecting = endpoint
        .connect(peer.edge.address, &peer.edge.host)
        .map_err(told)?;
    match within("end of the handshake", connecting).await? {
        Err(_) => Ok(()),
        Ok(_) => failed("the edge takes the ALPN h3"),
    }
}

pub(super) async fn one_way(peer: Peer) -> Outcome {
    let (_endpoint, connection) = peer.quic().await?;
    match tokio::time::timeout(Duration::from_millis(500), connection.open_uni()).await {
        Ok(Ok(_)) => failed("the edge allows unidirectional streams"),
        _ => Ok(()),
    }
}

/// A second connection has a ticket, and may still send nothing before the handshake is over.
pub(super) async fn early_data(peer: Peer) -> Outcome {
    let endpoint = client(&peer, tunnel::quic::ALPN)?;
    for _ in 0..2 {
        let connecting = endpoint
            .connect(peer.edge.address, &peer.edge.host)
            .map_err(told)?;
        let connection = match connecting.into_0rtt() {
            Ok((_, accepted)) => {
                if accepted.await {
                    return failed("the edge takes early data, which can be replayed");
                }
                return Ok(());
            }
            Err(connecting) => within("QUIC handshake", connecting).await?.map_err(told)?,
        };
        // The ticket comes behind the handshake.
        tokio::time::sleep(Duration::from_millis(200)).await;
        connection.close(0_u32.into(), b"");
    }
    Ok(())
}

/// With early data, which the protocol's own configuration rules out.
fn client(peer: &Peer, alpn: &[u8]) -> Outcome<quinn::Endpoint> {
    let mut tls = peer.client(&[alpn]);
    tls.enable_early_data = true;
    let crypto = QuicClientConfig::try_from(tls).map_err(told)?;
    let unspecified = match peer.edge.address {
        std::net::SocketAddr::V4(_) => ([0; 4], 0).into(),
        std::net::SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let mut endpoint = quinn::Endpoint::client(unspecified)?;
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
    Ok(endpoint)
}
