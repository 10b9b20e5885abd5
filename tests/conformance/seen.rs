//! What a proxy has seen of a connection: enough for a fault to strike in one case only.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicUsize},
};

use conformance::frame::{DATA, FIN, Frame, SYN};

/// Bytes of a stream that are kept.
const KEPT: usize = 256;

/// What every connection of one provider has in common.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// How many there were.
    pub(crate) connections: AtomicUsize,
    pub(crate) token: String,
    pub(crate) expired: String,
    pub(crate) http: String,
    pub(crate) tls: String,
}

#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) world: Arc<World>,
    pub(crate) streams: BTreeMap<u32, Stream>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the agent to the edge.
    Up,
    Down,
}

#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) up: Vec<u8>,
    /// Behind the head.
    pub(crate) down: Vec<u8>,
    pub(crate) up_bytes: usize,
    pub(crate) down_bytes: usize,
    pub(crate) down_ended: bool,
    /// For an `http` endpoint.
    pub(crate) http: bool,
    head: Vec<u8>,
}

impl Seen {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self {
            world,
            streams: BTreeMap::new(),
        }
    }

    pub(crate) fn note(&mut self, way: Way, frame: &Frame) {
        if frame.kind != DATA || frame.stream == 1 {
            return;
        }
        if frame.has(SYN) {
            self.streams.insert(frame.stream, Stream::default());
        }
        let http = self.world.http.clone();
        let Some(stream) = self.streams.get_mut(&frame.stream) else {
            return;
        };
        if way == Way::Up {
            stream.up_bytes += frame.body.len();
            keep(&mut stream.up, &frame.body);
            return;
        }
        stream.down_ended |= frame.has(FIN);
        let body = stream.behind_head(&frame.body);
        stream.down_bytes += body.len();
        keep(&mut stream.down, &body);
        stream.http = !http.is_empty() && contains(&stream.head, http.as_bytes());
    }

    pub(crate) fn of(&self, frame: &Frame) -> Option<&Stream> {
        self.streams.get(&frame.stream)
    }
}

impl Stream {
    /// What of `body` is not the head.
    fn behind_head(&mut self, body: &[u8]) -> Vec<u8> {
        let whole = |head: &[u8]| 16 + usize::from(u16::from_be_bytes([head[14], head[15]]));
        let mut body = body.to_vec();
        while !body.is_empty() && (self.head.len() < 16 || self.head.len() < whole(&self.head)) {
            self.head.push(body.remove(0));
        }
        body
    }
}

pub(crate) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|at| at == part)
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = KEPT.saturating_sub(kept.len());
    kept.extend(&bytes[..bytes.len().min(room)]);
}
