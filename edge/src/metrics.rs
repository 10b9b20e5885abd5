//! What the edge counts. Labels are small closed sets: a stranger cannot make a new one.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tunnel::{Code, TransportKind};

use crate::access::ConnectionEnd;

#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    bounds: Family<BoundLabel, Counter>,
    refusals: Family<CodeLabel, Counter>,
    ends: Family<CodeLabel, Counter>,
    sessions: Family<TransportLabel, Gauge>,
    connections: Family<EndLabel, Counter>,
    pub(crate) unknown_names: Counter,
    pub(crate) visitors: Gauge,
    pub(crate) streams: Counter,
    pub(crate) placements_waiting: Gauge,
    pub(crate) store_failures: Counter,
    pub(crate) accept_failures: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BoundLabel {
    bound: Hit,
}

/// Which of the edge's bounds was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Hit {
    Visitors,
    Strangers,
    StrangersOfAddress,
    Sessions,
    SessionsOfSubject,
    Binds,
    Streams,
    ClientHello,
    HandshakeTime,
    HelloTime,
    ReplicaWait,
    WaitingVisitors,
    StatusTime,
    Outbox,
    VisitLines,
    Certificates,
    CertificateTime,
    DrainTime,
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

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        registry.register(
            "bounds_hit",
            "Times that a bound was hit",
            all.bounds.clone(),
        );
        registry.register(
            "hello_refused",
            "Hellos refused, by code",
            all.refusals.clone(),
        );
        registry.register(
            "sessions_ended",
            "Sessions ended, by code",
            all.ends.clone(),
        );
        registry.register(
            "sessions",
            "Sessions now, by transport",
            all.sessions.clone(),
        );
        registry.register(
            "connections",
            "Visitors of tls and tcp endpoints that have left",
            all.connections.clone(),
        );
        registry.register(
            "unknown_names",
            "TLS handshakes for names that lead nowhere",
            all.unknown_names.clone(),
        );
        registry.register(
            "visitors",
            "Visitors' connections now",
            all.visitors.clone(),
        );
        registry.register("streams", "Streams opened to agents", all.streams.clone());
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
            "accept_failures",
            "Failed accepts",
            all.accept_failures.clone(),
        );
        all
    }

    pub(crate) fn hit(&self, bound: Hit) {
        self.bounds.get_or_create(&BoundLabel { bound }).inc();
    }

    pub(crate) fn refused(&self, code: Code) {
        self.refusals
            .get_or_create(&CodeLabel { code: code.name() })
            .inc();
    }

    pub(crate) fn session_began(&self, transport: TransportKind) {
        let transport = transport.as_str();
        self.sessions
            .get_or_create(&TransportLabel { transport })
            .inc();
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

    pub(crate) fn connection(&self, kind: model::Kind, end: ConnectionEnd) {
        let label = EndLabel {
            kind: kind.as_str(),
            end: end.as_str(),
        };
        self.connections.get_or_create(&label).inc();
    }

    #[cfg(test)]
    pub(crate) fn hits(&self, bound: Hit) -> u64 {
        self.bounds.get_or_create(&BoundLabel { bound }).get()
    }
}
