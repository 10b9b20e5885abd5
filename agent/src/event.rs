//! What a tunnel tells its owner while it runs.

use std::{sync::Arc, time::Duration};

use model::{SessionId, UnixTime};
use tunnel::{
    Code, TransportKind,
    message::{Bound, Visit},
};

use crate::{Hint, Location, TunnelError};

/// In the order of their happening. A reader who is slower than [`crate::EVENTS_KEPT`] events misses the oldest.
#[derive(Clone, Debug)]
pub enum Event {
    Connecting {
        location: Location,
        transport: TransportKind,
    },
    Connected(Arc<Connected>),
    /// The session went on to another binding or edge; the old one finishes its streams.
    Migrated(Arc<Connected>),
    /// The edge has new facts about the session: a later end, other bounds.
    Refreshed(Arc<Connected>),
    Disconnected {
        reason: String,
        code: Option<Code>,
        retry_in: Duration,
    },
    /// The edge serves one more of the wanted binds ([`crate::Tunnel::want`]).
    Bound(Bound),
    /// The edge has given back a bind that is not wanted any more; its open streams go on.
    Unbound {
        id: u32,
    },
    /// The edge does not serve one of several binds (any more); the others go on. In this session it is not asked for
    /// again under this id.
    BindLost {
        id: u32,
        code: Code,
        reason: String,
    },
    /// An HTTP request, as the edge counted it.
    Visit(Visit),
    /// Something a person can do better; once per bind and kind.
    Hint {
        bind: u32,
        hint: Hint,
    },
    /// The tunnel is over; nothing follows.
    Ended(TunnelError),
}

/// A session, as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Connected {
    pub session: SessionId,
    /// The edge's name for itself.
    pub edge: String,
    pub location: Location,
    pub transport: TransportKind,
    pub why: Why,
    pub rtt: Option<Duration>,
    pub bound: Vec<Bound>,
    pub session_expires: UnixTime,
}

/// Why a session runs over its transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Chosen,
    /// It was welcomed first.
    Fastest,
    /// QUIC did not get through.
    UdpBlocked,
    /// Neither QUIC nor the upgrade to the mux did.
    UpgradeBlocked,
    /// QUIC gets through again.
    UdpBack,
}

impl Connected {
    /// Where visitors go, in the order of the binds.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.bound.iter().filter_map(|bound| bound.url.as_deref())
    }
}

impl Why {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chosen => "as chosen",
            Self::Fastest => "answered first",
            Self::UdpBlocked => "QUIC does not get through",
            Self::UpgradeBlocked => "nothing else gets through",
            Self::UdpBack => "QUIC gets through again",
        }
    }
}
