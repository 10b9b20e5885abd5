//! The binding over QUIC version 1 (RFC 9000): a stream of the session is a bidirectional stream of the connection.

mod config;
mod datagrams;
mod stream;

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use quinn::{ConnectionError, VarInt, crypto::rustls::HandshakeData};
use tokio::task::AbortHandle;

pub use self::{
    config::{client_config, server_config},
    datagrams::{FrameReceiver, FrameSender, Frames},
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
pub struct QuicTransport {
    connection: quinn::Connection,
    flows: Arc<datagrams::Flows>,
    reader: AbortHandle,
}

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
    pub fn new(connection: quinn::Connection) -> Self {
        let flows = datagrams::Flows::new();
        let reading = tokio::spawn(datagrams::read(connection.clone(), flows.clone()));
        Self {
            connection,
            flows,
            reader: reading.abort_handle(),
        }
    }
}

impl Drop for QuicTransport {
    fn drop(&mut self) {
        // It would keep the connection open.
        self.reader.abort();
    }
}

#[async_trait]
impl Transport for QuicTransport {
    async fn open(&self) -> Result<Stream, TransportError> {
        let (send, recv) = self.connection.open_bi().await.map_err(ended)?;
        Ok(QuicStream::new(send, recv).into())
    }

    async fn accept(&self) -> Result<Stream, TransportError> {
        let (send, recv) = self.connection.accept_bi().await.map_err(ended)?;
        Ok(QuicStream::new(send, recv).into())
    }

    fn admit(&self, streams: u32) {
        self.connection
            .set_max_concurrent_bi_streams(streams.into());
        self.connection
            .set_receive_window(config::SESSION_WINDOW.into());
    }

    fn close(&self, code: Code, reason: &str) {
        let reason = cut(reason, limits::CLOSE_REASON);
        self.connection.close(number(code), reason.as_bytes());
    }

    async fn closed(&self) -> TransportError {
        let cause = ended(self.connection.closed().await);
        if cause == TransportError::TimedOut {
            bounds::hit(Bound::Idle);
        }
        cause
    }

    fn rtt(&self) -> Option<Duration> {
        Some(self.connection.rtt())
    }

    fn exporter(&self) -> Option<Exporter> {
        let mut exporter = Exporter::default();
        let exported = self
            .connection
            .export_keying_material(&mut exporter, EXPORTER_LABEL, b"");
        exported.ok().map(|()| exporter)
    }

    fn agree_on_datagrams(&self) {
        self.flows.agreed.store(true, Relaxed);
    }

    fn frames(&self, stream: &Stream) -> Option<Frames> {
        let flow = stream.quic_index()?;
        let agreed = self.flows.agreed.load(Relaxed);
        agreed.then(|| self.flows.begin(flow, &self.connection))
    }

    fn kind(&self) -> TransportKind {
        TransportKind::Quic
    }

    /// Changes when the agent moves to another network.
    fn peer(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    fn stats(&self) -> TransportStats {
        let stats = self.connection.stats();
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
