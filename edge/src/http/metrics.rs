//! What the proxy counts.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{End, Visit};

#[derive(Clone, Debug, Default)]
pub struct HttpMetrics {
    requests: Family<StatusClass, Counter>,
    ends: Family<Ended, Counter>,
    pub(super) in_flight: Gauge,
    pub(super) upstream_opened: Counter,
    pub(super) upstream_reused: Counter,
    pub(super) upstream_retried: Counter,
    bounds: Family<Bound, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusClass {
    class: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    end: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Bound {
    bound: Hit,
}

/// Which of the proxy's bounds was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum Hit {
    OriginConnections,
    AnswerTime,
    IdleVisitor,
    HeaderTime,
}

impl HttpMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("http");
        registry.register(
            "requests",
            "Requests by class of status",
            metrics.requests.clone(),
        );
        registry.register("ends", "Requests by how they ended", metrics.ends.clone());
        registry.register("in_flight", "Requests under way", metrics.in_flight.clone());
        registry.register(
            "upstream_opened",
            "Streams opened to origins",
            metrics.upstream_opened.clone(),
        );
        registry.register(
            "upstream_reused",
            "Requests on a stream that was open already",
            metrics.upstream_reused.clone(),
        );
        registry.register(
            "upstream_retried",
            "Requests sent again because the first stream had gone stale",
            metrics.upstream_retried.clone(),
        );
        registry.register(
            "bounds_hit",
            "Times that a bound was hit",
            metrics.bounds.clone(),
        );
        metrics
    }

    pub(super) fn hit(&self, bound: Hit) {
        self.bounds.get_or_create(&Bound { bound }).inc();
    }

    pub(super) fn visited(&self, visit: &Visit) {
        let class = visit.status / 100;
        self.requests.get_or_create(&StatusClass { class }).inc();
        let end = match visit.end {
            End::Complete => "complete",
            End::VisitorLeft => "visitor-left",
            End::OriginBroke => "origin-broke",
        };
        self.ends.get_or_create(&Ended { end }).inc();
    }
}
