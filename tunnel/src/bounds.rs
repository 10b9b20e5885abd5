//! How often the protocol's bounds were hit in this process, on either side: both speak it with the same code.

model::named_bounds! {
    /// A bound of the protocol or of one of its bindings.
    pub enum Bound {
        /// [`crate::limits::CONTROL_LINE`].
        ControlLine = "control_line",
        /// [`crate::limits::STREAM_HEAD`].
        StreamHead = "stream_head",
        /// [`crate::limits::IDLE`], or twice that without an answer.
        Idle = "idle",
        /// [`crate::limits::PEER_STREAMS`] or what was welcomed, and streams that nobody has taken yet.
        PeerStreams = "peer_streams",
        /// Streams that were opened in spite of many refusals.
        Refusals = "refusals",
        /// The memory of a session or of the process, for new streams.
        Memory = "memory",
        /// The same, for larger windows.
        WindowGrowth = "window_growth",
        /// Answers that the peer asks for and does not read.
        Answers = "answers",
        /// Frames for streams that are not there.
        Strays = "strays",
        /// Datagrams for a flow that is not there, or for none that can be read.
        StrayDatagrams = "stray_datagrams",
        /// Datagrams of one flow that wait for whoever carries it.
        DatagramQueue = "datagram_queue",
        /// The same for all flows of a session, in bytes.
        DatagramBytes = "datagram_bytes",
        /// Datagrams that wait for the path; the next ones take their streams.
        DatagramsOut = "datagrams_out",
        /// The time for the last frames of a session.
        Leaving = "leaving",
    }
}

static HITS: model::Hits<{ Bound::ALL.len() }> = model::Hits::new();

pub(crate) fn hit(bound: Bound) {
    HITS.add(bound as usize);
}

/// Every bound and how often it was hit since the process began.
pub fn hits() -> impl Iterator<Item = (&'static str, u64)> {
    Bound::ALL
        .into_iter()
        .map(|bound| (bound.label(), HITS.get(bound as usize)))
}
