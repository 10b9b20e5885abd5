//! Edges whose QUIC is wrong: no session is needed to see it.

use std::{net::SocketAddr, sync::Arc};

use quinn::crypto::rustls::QuicServerConfig;
use tokio::task::JoinSet;

use crate::proxy::Identity;

/// What they must fail, and how they are wrong.
pub(crate) const FAULTS: [&str; 3] = ["quic-alpn", "quic-one-way", "quic-early-data"];

/// An endpoint that finishes handshakes and keeps the connections.
pub(crate) fn start(identity: &Identity, address: SocketAddr, fault: &str) -> JoinSet<()> {
    let alpn: &[&[u8]] = match fault {
        "quic-alpn" => &[tunnel::quic::ALPN, b"h3"],
        _ => &[tunnel::quic::ALPN],
    };
    let mut tls = identity.server(alpn);
    if fault == "quic-early-data" {
        tls.max_early_data_size = u32::MAX;
    }
    let crypto = QuicServerConfig::try_from(tls).unwrap();
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let mut transport = quinn::TransportConfig::default();
    transport.max_concurrent_uni_streams(u32::from(fault == "quic-one-way").into());
    config.transport_config(Arc::new(transport));
    let endpoint = quinn::Endpoint::server(config, address).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Some(incoming) = endpoint.accept().await {
            connections.spawn(async move {
                if let Ok(connection) = incoming.await {
                    connection.closed().await;
                }
            });
        }
    });
    tasks
}
