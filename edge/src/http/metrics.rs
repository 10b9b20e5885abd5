//! What the proxy counts.

use std::{ops::Deref, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{End, Visit};
use crate::metrics::{Bounds, Hit, Metrics, seconds};

#[derive(Clone, Debug)]
pub struct HttpMetrics(Arc<Series>);

#[derive(Debug)]
pub struct Series {
    requests: Family<StatusClass, Counter>,
    ends: Family<Ended, Counter>,
    first_byte: Histogram,
    pub(super) in_flight: Gauge,
    pub(super) upstream_opened: Counter,
    pub(super) upstream_reused: Counter,
    pub(super) upstream_retried: Counter,
    edge: Metrics,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusClass {
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    end: &'static str,
}

impl Deref for HttpMetrics {
    type Target = Series;

    fn deref(&self) -> &Series {
        &self.0
    }
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self::new(Metrics::default())
    }
}

impl HttpMetrics {
    fn new(edge: Metrics) -> Self {
        Self(Arc::new(Series {
            requests: Family::default(),
            ends: Family::default(),
            first_byte: seconds(),
            in_flight: Gauge::default(),
            upstream_opened: Counter::default(),
            upstream_reused: Counter::default(),
            upstream_retried: Counter::default(),
            edge,
        }))
    }

    pub(crate) fn register(registry: &mut Registry, edge: Metrics) -> Self {
        let metrics = Self::new(edge);
        for class in ["1xx", "2xx", "3xx", "4xx", "5xx"] {
            metrics.requests.get_or_create_owned(&StatusClass { class });
        }
        for end in End::ALL.map(End::as_str) {
            metrics.ends.get_or_create_owned(&Ended { end });
        }
        let registry = registry.sub_registry_with_prefix("http");
        registry.register(
            "requests",
            "Requests by class of status",
            metrics.requests.clone(),
        );
        registry.register("ends", "Requests by how they ended", metrics.ends.clone());
        registry.register_with_unit(
            "first_byte",
            "From a request's head to the head of its answer, whoever gave it",
            Unit::Seconds,
            metrics.first_byte.clone(),
        );
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
        metrics
    }

    pub(super) fn hit(&self, bound: Hit) {
        self.edge.hit(bound);
    }

    pub(super) fn bounds(&self) -> &Bounds {
        self.edge.bounds()
    }

    /// The head of an answer is on its way.
    pub(super) fn answered(&self, took: Duration) {
        self.first_byte.observe(took.as_secs_f64());
    }

    pub(super) fn visited(&self, visit: &Visit) {
        let class = class(visit.status);
        self.requests.get_or_create(&StatusClass { class }).inc();
        let end = visit.end.as_str();
        self.ends.get_or_create(&Ended { end }).inc();
        self.edge.moved(visit.up, visit.down);
    }
}

const fn class(status: u16) -> &'static str {
    match status {
        ..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    }
}
