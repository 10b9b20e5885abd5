//! How often the agent's bounds were hit in this process. docs/bounds.md says which constant each of them is.

model::named_bounds! {
    /// A bound of the agent's own; those of the protocol are counted in `tunnel::bounds`.
    pub enum Bound {
        /// The edge or its network did not finish a handshake in time.
        Dial = "dial",
        /// The source of tokens did not answer in time.
        Token = "token",
        /// The edge did not read the control stream in time.
        ControlWrite = "control_write",
        /// The session has as many streams as it may.
        Streams = "streams",
        /// Nobody accepted a stream in time.
        Backlog = "backlog",
        /// A stream's head did not come in time.
        StreamHead = "stream_head",
        /// The edge did not read a status byte in time.
        Status = "status",
        /// The origin did not take a connection in time.
        OriginConnect = "origin_connect",
        /// One direction had ended and the other was silent for too long.
        HalfClosed = "half_closed",
        /// A datagram could not be sent to the server.
        Datagram = "datagram",
        /// Nothing had come or gone in a flow of datagrams for too long.
        FlowSilence = "flow_silence",
        /// Streams were cut at the end of a session, as their time was over.
        Leaving = "leaving",
        /// A directory had more entries than are listed.
        Listing = "listing",
    }
}

static HITS: model::Hits<{ Bound::ALL.len() }> = model::Hits::new();

pub(crate) fn hit(bound: Bound) {
    HITS.add(bound as usize);
}

/// Every bound and how often it was hit since the process began.
pub fn bounds_hit() -> impl Iterator<Item = (&'static str, u64)> {
    Bound::ALL
        .into_iter()
        .map(|bound| (bound.label(), HITS.get(bound as usize)))
}
