//! The binding over QUIC version 1 (RFC 9000): a stream of the session is a bidirectional stream of the connection.

mod config;
mod stream;

use std::{net::SocketAddr, time::Duration};

use async_trait::async_trait;
use quinn::{ConnectionError, VarInt, crypto::rustls::HandshakeData};

pub use self::{
    config::{client_config, server_config},
    stream::QuicStream,
};
use crate::{
    Code, Stream, Transport, TransportError, TransportKind, TransportStats,
    bounds::{self, Bound},
    limits::{self, cut},
    transport::{EXPORTER_LABEL, Exporter},
};

/// The application protocol of the session (RFC 7301).
pub const ALPN: &[u8] = b"adit/1";

#[derive(Debug)]
pub struct QuicTransport(quinn::Connection);

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot begin a QUIC connection: {0}")]
    Begin(#[from] quinn::ConnectError),
    #[error("the QUIC handshake failed: {0}")]
    Handshake(#[from] ConnectionError),
    #[error("the server does not speak adit/1 over QUIC")]
    Protocol,
}

/// Connects to an edge. Whoever drops the future gives up.
pub async fn connect(
    endpoint: &quinn::Endpoint,
    address: SocketAddr,
    server_name: &str,
    config: quinn::ClientConfig,
) -> Result<QuicTransport, ConnectError> {
    let connection = endpoint.connect_with(config, address, server_name)?.await?;
    if protocol(&connection).as_deref() != Some(ALPN) {
        connection.close(number(Code::Protocol), b"");
        return Err(ConnectError::Protocol);
    }
    Ok(QuicTransport::new(connection))
}

/// What was agreed on by ALPN.
pub fn protocol(connection: &quinn::Connection) -> Option<Vec<u8>> {
    let data = connection.handshake_data()?.downcast::<HandshakeData>();
    data.ok()?.protocol
}

impl QuicTransport {
    /// Over a connection whose handshake is done and agreed on [`ALPN`].
    pub const fn new(connection: quinn::Connection) -> Self {
        Self(connection)
    }
}

#[async_trait]
impl Transport for QuicTransport {
    async fn open(&self) -> Result<Stream, TransportError> {
        let (send, recv) = self.0.open_bi().await.map_err(ended)?;
        Ok(QuicStream::new(send, recv).into())
    }

    async fn accept(&self) -> Result<Stream, TransportError> {
        let (send, recv) = self.0.accept_bi().await.map_err(ended)?;
        Ok(QuicStream::new(send, recv).into())
    }

    fn admit(&self, streams: u32) {
        self.0.set_max_concurrent_bi_streams(streams.into());
        self.0.set_receive_window(config::SESSION_WINDOW.into());
    }

    fn close(&self, code: Code, reason: &str) {
        let reason = cut(reason, limits::CLOSE_REASON);
        self.0.close(number(code), reason.as_bytes());
    }

    async fn closed(&self) -> TransportError {
        let cause = ended(self.0.closed().await);
        if cause == TransportError::TimedOut {
            bounds::hit(Bound::Idle);
        }
        cause
    }

    fn rtt(&self) -> Option<Duration> {
        Some(self.0.rtt())
    }

    fn exporter(&self) -> Option<Exporter> {
        let mut exporter = Exporter::default();
        let exported = self
            .0
            .export_keying_material(&mut exporter, EXPORTER_LABEL, b"");
        exported.ok().map(|()| exporter)
    }

    fn kind(&self) -> TransportKind {
        TransportKind::Quic
    }

    /// Changes when the agent moves to another network.
    fn peer(&self) -> SocketAddr {
        self.0.remote_address()
    }

    fn stats(&self) -> TransportStats {
        let stats = self.0.stats();
        TransportStats {
            bytes_in: stats.udp_rx.bytes,
            bytes_out: stats.udp_tx.bytes,
        }
    }
}

fn number(code: Code) -> VarInt {
    u32::from(u8::from(code)).into()
}

fn ended(error: ConnectionError) -> TransportError {
    match error {
        ConnectionError::ApplicationClosed(close) => TransportError::Closed {
            code: Code::of_session(close.error_code.into_inner()),
            reason: printable(&close.reason),
        },
        ConnectionError::LocallyClosed => TransportError::ClosedHere,
        ConnectionError::TimedOut => TransportError::TimedOut,
        other => TransportError::Lost(other.to_string()),
    }
}

/// The peer's words, made fit for a log.
fn printable(reason: &[u8]) -> String {
    let text = String::from_utf8_lossy(reason);
    let clean = text.chars().filter(|c| !c.is_control());
    clean.take(limits::CLOSE_REASON).collect()
}

#[cfg(test)]
mod tests;
