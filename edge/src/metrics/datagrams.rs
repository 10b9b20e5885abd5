//! Datagrams between the edge and agents, by how they went.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// What carries a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// A frame of its own.
    Frame,
    /// The stream of its flow.
    Stream,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PathLabel {
    direction: &'static str,
    path: &'static str,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Datagrams(Family<PathLabel, Counter>);

/// All of them, found once for many datagrams.
#[derive(Debug)]
pub(crate) struct DatagramCounters {
    up: ByPath,
    down: ByPath,
}

#[derive(Debug)]
struct ByPath {
    frame: Counter,
    stream: Counter,
}

impl Datagrams {
    pub(super) fn register(&self, registry: &mut Registry) {
        self.counters();
        registry.register(
            "datagrams",
            "Datagrams carried to and from agents, by path: in a frame of their own, or in the stream of their flow",
            self.0.clone(),
        );
    }

    pub(super) fn counters(&self) -> DatagramCounters {
        DatagramCounters {
            up: self.of("up"),
            down: self.of("down"),
        }
    }

    fn of(&self, direction: &'static str) -> ByPath {
        let counter = |path| self.0.get_or_create_owned(&PathLabel { direction, path });
        ByPath {
            frame: counter("datagram"),
            stream: counter("stream"),
        }
    }
}

impl DatagramCounters {
    pub(crate) const fn up(&self, path: Path) -> &Counter {
        self.up.of(path)
    }

    pub(crate) const fn down(&self, path: Path) -> &Counter {
        self.down.of(path)
    }
}

impl ByPath {
    const fn of(&self, path: Path) -> &Counter {
        match path {
            Path::Frame => &self.frame,
            Path::Stream => &self.stream,
        }
    }
}
