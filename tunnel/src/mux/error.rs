//! Why a session ended, and why a stream cannot go on.

use std::io;

use crate::{
    Code, StreamReset,
    bounds::{self, Bound},
};

/// Why a session is over, or takes no new stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MuxError {
    #[error("the session was closed on this side")]
    ClosedHere,
    #[error("the peer closed the session: {0}")]
    Closed(Code),
    #[error("the peer broke the mux protocol: {0}")]
    Protocol(#[from] Violation),
    #[error("nothing was heard from the peer for too long")]
    TimedOut,
    #[error("the connection ended without a goodbye")]
    Truncated,
    #[error("the connection failed: {0}")]
    Io(String),
    #[error("the session has used up its stream ids: open another one")]
    Exhausted,
    #[error("the unread bytes of other streams fill the memory budget: try again later")]
    Busy,
}

/// What the peer did that no honest peer does. Each ends the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("version {0} is not yamux 0")]
    Version(u8),
    #[error("frame type {0} is unknown")]
    FrameType(u8),
    #[error("a stream frame names stream 0")]
    StreamZero,
    #[error("stream {0} was opened with an id of the other side")]
    StreamId(u32),
    #[error("stream {0} was opened twice")]
    Duplicate(u32),
    #[error("data on stream {0} goes beyond its window")]
    WindowExceeded(u32),
    #[error("the window of stream {0} goes beyond 32 bits")]
    WindowOverflow(u32),
    #[error("data on stream {0} follows its end")]
    DataAfterEnd(u32),
    #[error("too many streams were opened beyond the limit")]
    TooManyStreams,
    #[error("too many frames are for streams that do not exist")]
    Strays,
    #[error("frames that need an answer come faster than the answers are read")]
    Flood,
}

impl Violation {
    /// Counts the bound that was passed, if it was one; the others are plain nonsense.
    pub(super) fn count(self) {
        match self {
            Self::TooManyStreams => bounds::hit(Bound::Refusals),
            Self::Strays => bounds::hit(Bound::Strays),
            Self::Flood => bounds::hit(Bound::Answers),
            _ => {}
        }
    }
}

/// Why an operation on one stream fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The peer reset the stream.
    Reset(Code),
    /// This side reset the stream.
    CutHere,
    /// This side has ended its direction already.
    Ended,
    Session(MuxError),
}

impl From<MuxError> for io::Error {
    fn from(error: MuxError) -> Self {
        let kind = match error {
            MuxError::TimedOut => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::ConnectionAborted,
        };
        Self::new(kind, error)
    }
}

impl From<Broken> for io::Error {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Reset(code) => StreamReset { code }.into(),
            Broken::CutHere => Self::new(
                io::ErrorKind::NotConnected,
                "the stream was reset on this side",
            ),
            Broken::Ended => Self::new(
                io::ErrorKind::BrokenPipe,
                "this direction of the stream was shut down",
            ),
            Broken::Session(error) => error.into(),
        }
    }
}
