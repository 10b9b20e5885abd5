//! The open tunnel protocol: what an edge and an agent say to each other, and the bindings that carry it.
//!
//! `docs/protocol.md` is the specification; the modules follow its sections. A [`Transport`] is one session over one
//! binding: [`quic`] over UDP, [`upgrade`] or [`websocket`] with [`mux`] over TLS and TCP. All hand out the same [`Stream`].

pub mod bounds;
pub mod code;
pub mod congestion;
pub mod control;
pub mod datagram;
pub mod head;
pub mod limits;
pub mod message;
pub mod mux;
pub mod quic;
mod secret;
pub mod single;
mod stream;
pub mod tls;
#[cfg(test)]
mod tls_for_tests;
pub mod trace;
mod transport;
pub mod upgrade;
pub mod websocket;

pub use code::{Code, StreamReset};
pub use control::{ControlReader, ControlWriter};
pub use head::StreamHead;
pub use limits::Limits;
pub use secret::Secret;
pub use stream::{Side, Stream};
pub use transport::{Exporter, Transport, TransportError, TransportKind, TransportStats};
