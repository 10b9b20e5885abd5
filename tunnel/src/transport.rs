//! What a session needs of the connection below it, so that edge and agent are written once for all bindings.

use std::{fmt, io, net::SocketAddr, time::Duration};

use async_trait::async_trait;

use crate::{Code, Stream, datagram::Frames, mux::MuxError};

/// One connection between an agent and an edge. The agent opens the control stream, the edge all others.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// A new stream. The peer learns of it with its first bytes. Waits while the peer takes no more streams, so the
    /// caller keeps its own count and gives up by itself.
    async fn open(&self) -> Result<Stream, TransportError>;

    /// The next stream that the peer opens.
    async fn accept(&self) -> Result<Stream, TransportError>;

    /// The peer is known: it may have `streams` open at once, and the memory of a session. Until then a server takes one
    /// stream and little more than a `hello`.
    fn admit(&self, streams: u32);

    /// Ends the session and all its streams. The peer is told `code`, and `reason` where the binding carries one.
    fn close(&self, code: Code, reason: &str);

    /// Waits for the end and tells its cause; at once when it has come already.
    async fn closed(&self) -> TransportError;

    /// A smoothed round trip, once there was one.
    fn rtt(&self) -> Option<Duration>;

    /// What both ends of this connection know and nobody else does (`tls-exporter`, RFC 9266); none where TLS is not ours.
    fn exporter(&self) -> Option<Exporter>;

    /// Both sides have said that they take datagrams in frames of their own, if the binding has them.
    fn agree_on_datagrams(&self) {}

    /// The frames of the flow whose stream this is; none where they were not agreed on, and all goes on the stream. To be
    /// called once, and before the peer can send any.
    fn frames(&self, _stream: &Stream) -> Option<Frames> {
        None
    }

    fn kind(&self) -> TransportKind;

    fn peer(&self) -> SocketAddr;

    fn stats(&self) -> TransportStats;
}

/// Channel bindings have 32 bytes (RFC 9266, section 2).
pub type Exporter = [u8; 32];
/// The label that they are derived with.
pub(crate) const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// Which network protocol carries the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportKind {
    Quic,
    Tcp,
    WebSocket,
    /// No connection of its own: each stream is one.
    Single,
}

/// Totals of the session so far, as the binding counts them: QUIC's packets, the mux's frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransportStats {
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    #[error("the peer closed the session: {code}{}", because(.reason))]
    Closed { code: Code, reason: String },
    #[error("the session was closed on this side")]
    ClosedHere,
    #[error("nothing was heard from the peer for too long")]
    TimedOut,
    #[error("the connection to the peer was lost: {0}")]
    Lost(String),
    /// The session goes on, but not with another stream now.
    #[error("no room for another stream: {0}")]
    Busy(String),
}

impl TransportError {
    /// The peer's code, when it gave one.
    pub const fn code(&self) -> Option<Code> {
        match self {
            Self::Closed { code, .. } => Some(*code),
            Self::ClosedHere | Self::TimedOut | Self::Lost(_) | Self::Busy(_) => None,
        }
    }

    /// The end of the session that made reading or writing a stream fail, if one did.
    pub fn of(error: &io::Error) -> Option<Self> {
        let cause = error.get_ref()?;
        let of_mux = || Some(cause.downcast_ref::<MuxError>()?.clone().into());
        cause.downcast_ref().cloned().or_else(of_mux)
    }
}

impl From<TransportError> for io::Error {
    fn from(error: TransportError) -> Self {
        let kind = match error {
            TransportError::TimedOut => io::ErrorKind::TimedOut,
            TransportError::Busy(_) => io::ErrorKind::ResourceBusy,
            TransportError::Closed { .. }
            | TransportError::ClosedHere
            | TransportError::Lost(_) => io::ErrorKind::ConnectionAborted,
        };
        Self::new(kind, error)
    }
}

impl TransportKind {
    pub const ALL: [Self; 4] = [Self::Quic, Self::Tcp, Self::WebSocket, Self::Single];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::Tcp => "tcp",
            Self::WebSocket => "websocket",
            Self::Single => "single",
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn because(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(" ({reason})")
    }
}

/// What every binding must do, run for each by its own tests.
#[cfg(test)]
pub(crate) mod suite;
