//! A session over the mux.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::{
    Code, Stream, Transport, TransportError, TransportKind, TransportStats, limits,
    mux::{Budget, Config, Connection, MuxError, Role},
    tls::TlsStream,
    transport::Exporter,
    websocket::{Side, WebSocket},
};

/// Shared by all sessions of the process, as its memory is.
static BUDGET: LazyLock<Arc<Budget>> = LazyLock::new(|| Config::default().budget);

#[derive(Debug)]
pub struct MuxTransport {
    connection: Connection,
    peer: SocketAddr,
    exporter: Option<Exporter>,
    kind: TransportKind,
}

impl MuxTransport {
    /// Over a connection that speaks HTTP no more. With a [`TlsStream`] below, the mux works in its buffers.
    pub(super) fn upgraded(upgraded: Upgraded, role: Role, peer: SocketAddr) -> Self {
        let config = config(role);
        let (connection, exporter) = match upgraded.downcast::<TokioIo<TlsStream<TcpStream>>>() {
            Ok(parts) => {
                let mut tls = parts.io.into_inner();
                tls.unread(parts.read_buf);
                let exporter = tls.exporter();
                (Connection::over(tls, role, config), Some(exporter))
            }
            Err(other) => (Connection::new(TokioIo::new(other), role, config), None),
        };
        Self {
            connection,
            peer,
            exporter,
            kind: TransportKind::Tcp,
        }
    }

    /// Over the messages of a WebSocket. There is no exporter: what a browser does not have, the binding does not use.
    pub(crate) fn websocket(upgraded: Upgraded, role: Role, peer: SocketAddr) -> Self {
        let side = match role {
            Role::Client => Side::Client,
            Role::Server => Side::Server,
        };
        let socket = WebSocket::new(TokioIo::new(upgraded), side);
        Self {
            connection: Connection::new(socket, role, config(role)),
            peer,
            exporter: None,
            kind: TransportKind::WebSocket,
        }
    }
}

fn config(role: Role) -> Config {
    Config {
        max_peer_streams: match role {
            // The edge has proved its name: its streams are welcome from the start.
            Role::Client => limits::PEER_STREAMS,
            Role::Server => limits::PEER_STREAMS_BEFORE_WELCOME,
        },
        ..Config::new(Arc::clone(&BUDGET))
    }
}

/// The memory of all sessions over the mux in this process, for metrics.
pub fn budget() -> &'static Budget {
    &BUDGET
}

#[async_trait]
impl Transport for MuxTransport {
    async fn open(&self) -> Result<Stream, TransportError> {
        Ok(self.connection.open()?.into())
    }

    async fn accept(&self) -> Result<Stream, TransportError> {
        Ok(self.connection.accept().await?.into())
    }

    fn admit(&self, streams: u32) {
        self.connection.admit(streams);
    }

    fn close(&self, code: Code, _: &str) {
        self.connection.close(code);
    }

    async fn closed(&self) -> TransportError {
        self.connection.closed().await.into()
    }

    fn rtt(&self) -> Option<Duration> {
        self.connection.rtt()
    }

    fn exporter(&self) -> Option<Exporter> {
        self.exporter
    }

    fn kind(&self) -> TransportKind {
        self.kind
    }

    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn stats(&self) -> TransportStats {
        let stats = self.connection.stats();
        TransportStats {
            bytes_in: stats.bytes_in,
            bytes_out: stats.bytes_out,
        }
    }
}

impl From<MuxError> for TransportError {
    fn from(error: MuxError) -> Self {
        match error {
            MuxError::Closed(code) => Self::Closed {
                code,
                reason: String::new(),
            },
            MuxError::ClosedHere => Self::ClosedHere,
            MuxError::TimedOut => Self::TimedOut,
            MuxError::Busy | MuxError::Exhausted => Self::Busy(error.to_string()),
            MuxError::Protocol(_) | MuxError::Truncated | MuxError::Io(_) => {
                Self::Lost(error.to_string())
            }
        }
    }
}
