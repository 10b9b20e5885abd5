//! Many streams over one connection: yamux's wire format, in an implementation of our own.
//!
//! The wire is that of `hashicorp/yamux` (and of its ports to Rust, JavaScript, Python), so that anyone can join with a library
//! that exists. What those leave open, this one settles: a reset is seen as a reset and carries a code, the end of the
//! connection is an abort, half-close works in each direction, opening never waits for an acknowledgement, a frame holds up to
//! 256 KiB, and windows grow for streams that drain.
//!
//! [`session::Session`] is a pure state machine: bytes, calls and the time go in, bytes and wake-ups come out. [`driver`] moves
//! the bytes, [`Connection`] and [`Stream`] are the handles.
//!
//! Two liberties, both harmless to peers that do not know them: the length field of a window update with RST holds the code of
//! the reset, and a GoAway of 0x100 and above holds a session's code.

mod budget;
mod buffer;
mod connection;
mod driver;
mod error;
mod flow;
mod frame;
mod incoming;
mod keepalive;
mod operate;
mod outgoing;
mod receive;
mod session;
mod shared;
mod state;
mod stray;
mod stream;
mod wire;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

pub(crate) use self::wire::{Intake, Wire};
pub use self::{
    budget::Budget,
    connection::Connection,
    error::{MuxError, Violation},
    session::Stats,
    stream::Stream,
};
use crate::limits;

/// Which half of the stream ids is ours: the dialler is the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

#[derive(Clone, Debug)]
pub struct Config {
    /// Streams that the peer may have open at once, until [`Connection::admit`] says otherwise.
    pub max_peer_streams: u32,
    /// To what the receive window of one stream may grow.
    pub max_window: u32,
    /// Memory that this session's streams may take.
    pub session_budget: usize,
    /// Memory that the streams of all sessions that share it may take.
    pub budget: Arc<Budget>,
    /// Pause between two pings.
    pub keepalive: Duration,
    /// Silence after which the peer counts as gone.
    pub idle: Duration,
}

impl Config {
    /// The values of the protocol, with a budget that other sessions share.
    pub const fn new(budget: Arc<Budget>) -> Self {
        Self {
            max_peer_streams: limits::PEER_STREAMS_BEFORE_WELCOME,
            max_window: MAX_WINDOW,
            session_budget: SESSION_BUDGET,
            budget,
            keepalive: limits::KEEPALIVE,
            idle: limits::IDLE,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new(Arc::new(Budget::new(PROCESS_BUDGET)))
    }
}

/// 16 MiB carry 1.3 Gbit/s over 100 ms.
const MAX_WINDOW: u32 = 16 << 20;
/// Holds a full first window of each of 1000 streams whose readers sleep.
const SESSION_BUDGET: usize = 256 << 20;
/// Four such sessions; whoever runs more shares a budget of his own choice.
const PROCESS_BUDGET: usize = 1 << 30;

impl Role {
    /// The first stream id of this side; its others follow in steps of two.
    const fn first_id(self) -> u32 {
        match self {
            Self::Client => 1,
            Self::Server => 2,
        }
    }

    /// Whether this side is the one that opens streams with `id`.
    const fn owns(self, id: u32) -> bool {
        id % 2 == self.first_id() % 2
    }
}
