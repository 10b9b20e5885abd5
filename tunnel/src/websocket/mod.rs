//! The binding over a WebSocket (RFC 6455), for browsers and for paths that let no other upgrade through: the bodies of the
//! binary messages, joined, are the bytes of the mux. Where messages and frames end means nothing, so none is ever put
//! together, and a connection costs the same memory however long they are.

mod connect;
mod frame;
mod handshake;
mod receive;
mod send;
mod stream;

pub(crate) use self::stream::{Side, WebSocket};
pub use self::{
    connect::{accept, connect},
    handshake::{HandshakeError, SUBPROTOCOL, asks, refuse},
};

/// What a peer does that RFC 6455 forbids, or this binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("a reserved bit is set, and no extension was agreed on")]
    Reserved,
    #[error("a text message, where only binary ones carry the tunnel")]
    Text,
    #[error("an unknown opcode")]
    Opcode,
    #[error("a length that is not written in the least number of bytes, or beyond 63 bits")]
    Length,
    #[error("a control frame that is cut in parts, or longer than 125 bytes")]
    Control,
    #[error("a frame of a client without a mask, or of a server with one")]
    Mask,
    #[error("a continuation of nothing, or a message within a message")]
    Sequence,
}

impl Violation {
    /// What the peer is told (section 7.4.1).
    const fn close_code(self) -> u16 {
        match self {
            Self::Text => 1003,
            _ => 1002,
        }
    }
}

/// What a server reads of a client, for the fuzz targets of this workspace; not part of the API.
#[doc(hidden)]
pub fn reading<I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    io: I,
) -> impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin {
    WebSocket::new(io, Side::Server)
}
