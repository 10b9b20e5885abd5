//! What the edge counts. Labels are small closed sets: a stranger cannot make a new one. All of a set is there from the
//! start, so that the first step away from zero is seen.

mod datagrams;
mod hit;

use std::{ops::Deref, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tunnel::{Code, TransportKind};

pub(crate) use self::{
    datagrams::{DatagramCounters, Path},
    hit::{Bounds, Hit},
};
use crate::access::ConnectionEnd;

/// From a millisecond, which a stream within one machine takes, to what no visitor waits for.
const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
];

type Seconds = Family<TransportLabel, Histogram, fn() -> Histogram>;

/// One place for all who count: each visitor and session has its own way to it, which costs one count of references.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics(Arc<Series>);

#[derive(Debug)]
pub(crate) struct Series {
    bounds: Bounds,
    refusals: Family<CodeLabel, Counter>,
    ends: Family<CodeLabel, Counter>,
    sessions: Family<TransportLabel, Gauge>,
    session_open: Seconds,
    connections: Family<EndLabel, Counter>,
    bytes: Family<DirectionLabel, Counter>,
    stream_accept: Histogram,
    pub(crate) unknown_names: Counter,
    pub(crate) visitors: Gauge,
    pub(crate) streams_opened: Counter,
    pub(crate) streams: Gauge,
    pub(crate) placements_waiting: Gauge,
    pub(crate) store_failures: Counter,
    pub(crate) accept_failures: Counter,
    datagrams: datagrams::Datagrams,
    pub(crate) datagrams_failed: Counter,
    pub(crate) snapshots: Counter,
    pub(crate) snapshot_failures: Counter,
    pub(crate) usage_reports: Counter,
    pub(crate) usage_failures: Counter,
    usage_waiting: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransportLabel {
    transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabel {
    kind: &'static str,
    end: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DirectionLabel {
    direction: &'static str,
}

impl Deref for Metrics {
    type Target = Series;

    fn deref(&self) -> &Series {
        &self.0
    }
}

impl Default for Series {
    fn default() -> Self {
        Self {
            bounds: Bounds::default(),
            refusals: Family::default(),
            ends: Family::default(),
            sessions: Family::default(),
            session_open: Family::new_with_constructor(seconds),
            connections: Family::default(),
            bytes: Family::default(),
            stream_accept: seconds(),
            unknown_names: Counter::default(),
            visitors: Gauge::default(),
            streams_opened: Counter::default(),
            streams: Gauge::default(),
            placements_waiting: Gauge::default(),
            store_failures: Counter::default(),
            accept_failures: Counter::default(),
            datagrams: datagrams::Datagrams::default(),
            datagrams_failed: Counter::default(),
            snapshots: Counter::default(),
            snapshot_failures: Counter::default(),
            usage_reports: Counter::default(),
            usage_failures: Counter::default(),
            usage_waiting: Gauge::default(),
        }
    }
}

/// A histogram of waits.
pub(crate) fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        all.begin_at_zero();
        all.bounds.register(registry);
        all.register_sessions(registry);
        all.register_visits(registry);
        all.register_usage(registry);
        registry.register(
            "placements_waiting",
            "Sessions whose placement is not written yet",
            all.placements_waiting.clone(),
        );
        registry.register(
            "store_failures",
            "Failed tries to write to the store",
            all.store_failures.clone(),
        );
        registry.register(
            "snapshots",
            "Times that the snapshot was written",
            all.snapshots.clone(),
        );
        registry.register(
            "snapshot_failures",
            "Times that the snapshot could not be written",
            all.snapshot_failures.clone(),
        );
        registry.register(
            "accept_failures",
            "Failed accepts: out of file descriptors, most likely",
            all.accept_failures.clone(),
        );
        all
    }

    fn register_sessions(&self, registry: &mut Registry) {
        registry.register(
            "hellos_refused",
            "Hellos refused, by code",
            self.refusals.clone(),
        );
        registry.register(
            "sessions_ended",
            "Sessions ended, by code",
            self.ends.clone(),
        );
        registry.register(
            "sessions",
            "Sessions now, by transport",
            self.sessions.clone(),
        );
        registry.register_with_unit(
            "session_open",
            "From an agent's connection to its welcome",
            Unit::Seconds,
            self.session_open.clone(),
        );
        registry.register(
            "streams_opened",
            "Streams opened to agents",
            self.streams_opened.clone(),
        );
        registry.register("streams", "Streams to agents now", self.streams.clone());
        registry.register_with_unit(
            "stream_accept",
            "From a stream's opening to the agent's word that the origin took it",
            Unit::Seconds,
            self.stream_accept.clone(),
        );
    }

    fn register_visits(&self, registry: &mut Registry) {
        registry.register(
            "connections",
            "Visitors of tls, tcp and udp endpoints that have left",
            self.connections.clone(),
        );
        registry.register_with_unit(
            "visit",
            "Bytes of visits that are over: bodies of requests, and connections of tls and tcp endpoints",
            Unit::Bytes,
            self.bytes.clone(),
        );
        registry.register(
            "unknown_names",
            "TLS handshakes for names that lead nowhere",
            self.unknown_names.clone(),
        );
        self.datagrams.register(registry);
        registry.register(
            "datagrams_failed",
            "Datagrams that could not be sent to a visitor",
            self.datagrams_failed.clone(),
        );
        registry.register(
            "visitors",
            "Visitors' connections now",
            self.visitors.clone(),
        );
    }

    fn register_usage(&self, registry: &mut Registry) {
        registry.register(
            "usage_reports",
            "Reports of usage that the control plane has kept",
            self.usage_reports.clone(),
        );
        registry.register(
            "usage_failures",
            "Failed tries to report usage",
            self.usage_failures.clone(),
        );
        registry.register(
            "usage_waiting",
            "Claims whose counts are taken and not reported yet",
            self.usage_waiting.clone(),
        );
    }

    pub(crate) fn usage_waiting(&self, claims: usize) {
        self.usage_waiting
            .set(i64::try_from(claims).unwrap_or(i64::MAX));
    }

    fn begin_at_zero(&self) {
        for code in Code::ALL.map(Code::name) {
            self.refusals.get_or_create_owned(&CodeLabel { code });
            self.ends.get_or_create_owned(&CodeLabel { code });
        }
        for transport in TransportKind::ALL.map(TransportKind::as_str) {
            self.sessions
                .get_or_create_owned(&TransportLabel { transport });
            self.session_open
                .get_or_create_owned(&TransportLabel { transport });
        }
        for kind in [model::Kind::Tls, model::Kind::Tcp, model::Kind::Udp].map(model::Kind::as_str)
        {
            for end in ConnectionEnd::ALL.map(ConnectionEnd::as_str) {
                self.connections
                    .get_or_create_owned(&EndLabel { kind, end });
            }
        }
        for direction in ["up", "down"] {
            self.bytes
                .get_or_create_owned(&DirectionLabel { direction });
        }
    }

    pub(crate) fn hit(&self, bound: Hit) {
        self.bounds.hit(bound);
    }

    /// Shared with the proxy.
    pub(crate) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    pub(crate) fn refused(&self, code: Code) {
        self.refusals
            .get_or_create(&CodeLabel { code: code.name() })
            .inc();
    }

    pub(crate) fn session_began(&self, transport: TransportKind, took: Duration) {
        let transport = transport.as_str();
        self.sessions
            .get_or_create(&TransportLabel { transport })
            .inc();
        self.session_open
            .get_or_create(&TransportLabel { transport })
            .observe(took.as_secs_f64());
    }

    pub(crate) fn session_ended(&self, transport: TransportKind, code: Code) {
        let transport = transport.as_str();
        self.sessions
            .get_or_create(&TransportLabel { transport })
            .dec();
        self.ends
            .get_or_create(&CodeLabel { code: code.name() })
            .inc();
    }

    /// The counters of a flow: it has many datagrams.
    pub(crate) fn datagrams(&self) -> DatagramCounters {
        self.datagrams.counters()
    }

    pub(crate) fn stream_accepted(&self, took: Duration) {
        self.stream_accept.observe(took.as_secs_f64());
    }

    pub(crate) fn connection(&self, line: &crate::Connection) {
        let label = EndLabel {
            kind: line.kind.as_str(),
            end: line.end.as_str(),
        };
        self.connections.get_or_create(&label).inc();
        self.moved(line.up, line.down);
    }

    pub(crate) fn moved(&self, up: u64, down: u64) {
        for (direction, bytes) in [("up", up), ("down", down)] {
            self.bytes
                .get_or_create(&DirectionLabel { direction })
                .inc_by(bytes);
        }
    }

    #[cfg(test)]
    pub(crate) fn hits(&self, bound: Hit) -> u64 {
        self.bounds.hits(bound)
    }
}
