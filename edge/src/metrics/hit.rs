//! The edge's bounds, each with a counter. docs/bounds.md says which constant each of them is.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

model::named_bounds! {
    /// Which of the edge's bounds was hit.
    pub(crate) enum Hit {
        Visitors = "visitors",
        Strangers = "strangers",
        StrangersOfAddress = "strangers_of_address",
        Sessions = "sessions",
        SessionsOfSubject = "sessions_of_subject",
        Binds = "binds",
        Streams = "streams",
        Flows = "flows",
        FlowsOfAddress = "flows_of_address",
        FlowsOfPort = "flows_of_port",
        FlowsOfSession = "flows_of_session",
        FlowQueue = "flow_queue",
        FlowBytes = "flow_bytes",
        ProxyHeader = "proxy_header",
        ProxyHeaderTime = "proxy_header_time",
        ClientHello = "client_hello",
        HandshakeTime = "handshake_time",
        OwnHead = "own_head",
        HelloTime = "hello_time",
        WelcomeTime = "welcome_time",
        FarewellTime = "farewell_time",
        ReplacedTime = "replaced_time",
        ReplicaWait = "replica_wait",
        WaitingPolls = "waiting_polls",
        PortWait = "port_wait",
        PlacementWait = "placement_wait",
        WaitingVisitors = "waiting_visitors",
        StatusTime = "status_time",
        HalfClosed = "half_closed",
        Outbox = "outbox",
        VisitLines = "visit_lines",
        Certificates = "certificates",
        CertificateTime = "certificate_time",
        ReservedTime = "reserved_time",
        StoreTime = "store_time",
        StoreFarewell = "store_farewell",
        UsageClaims = "usage_claims",
        UsageTime = "usage_time",
        UsageFarewell = "usage_farewell",
        DrainTime = "drain_time",
        ClosingTime = "closing_time",
        OriginConnections = "origin_connections",
        OriginHead = "origin_head",
        ContinueTime = "continue_time",
        AnswerTime = "answer_time",
        IdleVisitor = "idle_visitor",
        HeaderTime = "header_time",
        HeaderBytes = "header_bytes",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BoundLabel {
    bound: &'static str,
}

/// How often each was hit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds(Family<BoundLabel, Counter>);

impl Bounds {
    pub(super) fn register(&self, registry: &mut Registry) {
        for bound in Hit::ALL {
            self.count(bound);
        }
        registry.register("bounds_hit", "Times that a bound was hit", self.0.clone());
    }

    pub(crate) fn hit(&self, bound: Hit) {
        self.count(bound).inc();
    }

    fn count(&self, bound: Hit) -> Counter {
        let bound = bound.label();
        self.0.get_or_create_owned(&BoundLabel { bound })
    }

    #[cfg(test)]
    pub(crate) fn hits(&self, bound: Hit) -> u64 {
        self.count(bound).get()
    }
}
