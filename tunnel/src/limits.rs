//! The bounds of the protocol, each with its reason.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bytes of one control line, its newline included: a token and the longest list of one line, many times over.
pub const CONTROL_LINE: usize = 16 * 1024;
/// Bytes of a stream head: addresses and every known TLV at its longest need less than 800.
pub const STREAM_HEAD: usize = 1024;
/// Bytes of a load balancer's PROXY header: addresses, and what is said of the visitor's TLS and certificate.
pub const PROXY_HEADER: usize = 4096;
/// Binds of one session: each is a route that the edge holds.
pub const BINDS: u32 = 100;
/// Streams open at once in one session: each may hold a window of the receiver's memory.
pub const STREAMS: u32 = 1000;
/// Flows of datagrams at once in one session, each in a stream of its own besides [`STREAMS`].
pub const FLOWS: u32 = 1000;
/// Streams that an edge may have open towards an agent as far as the binding is concerned: above [`STREAMS`]
/// and [`FLOWS`] together, so that streams which are closing on one side already do not count against new ones.
pub const PEER_STREAMS: u32 = 2048;
/// Streams that the edge takes from a peer it does not know yet: the control stream.
pub const PEER_STREAMS_BEFORE_WELCOME: u32 = 1;

/// From the end of the handshake to the end of the `hello` line: an honest agent has it ready.
pub const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// From `hello` to the last line of `welcome`: longer than the edge may wait for its replica to catch up.
pub const WELCOME_WITHIN: Duration = Duration::from_secs(10);
/// From a stream's opening to its status byte: after that the session counts as dead, and the visitor hears so.
pub const STATUS_WITHIN: Duration = Duration::from_secs(3);
/// Pause after which a side that has nothing to say is heard: below the 30 s for which careful NATs keep UDP flows.
pub const KEEPALIVE: Duration = Duration::from_secs(15);
/// Silence after which a peer counts as gone: two keepalives may be lost.
pub const IDLE: Duration = Duration::from_secs(45);

/// Characters of an agent's name for itself: it stands in logs.
pub const AGENT_NAME: usize = 128;
/// Bytes of the text of an error: a sentence for a person.
pub const ERROR_TEXT: usize = 512;
/// Bytes of the reason with which a session is closed: fits one packet.
pub const CLOSE_REASON: usize = 256;
/// Entries of `bound` in one line of welcome: at most about 600 bytes each, so that a line holds them.
pub const BOUND_PER_LINE: usize = 16;
/// Entries of `edges`: an agent has use for a few.
pub const EDGES: usize = 16;
/// Bytes of a visit's method and of its path: cut at that, as nobody reads more on one line.
pub const VISIT_METHOD: usize = 32;
pub const VISIT_PATH: usize = 1024;

/// What an edge tells an agent about its bounds, in `welcome`. An absent member means the value of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Bytes of a control line.
    pub line: u32,
    /// Binds of the session.
    pub binds: u32,
    /// Streams open at once.
    pub streams: u32,
    /// Flows of datagrams at once.
    pub flows: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 16 * 1024,
            binds: BINDS,
            streams: STREAMS,
            flows: FLOWS,
        }
    }
}

/// The longest start of `text` that has at most `max` bytes.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    let mut ends = (0..=max.min(text.len())).rev();
    let end = ends.find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}
