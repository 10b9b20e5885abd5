//! What an agent shows of its tunnels: a session is what makes it ready.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use ::agent::{Phase, Status, bounds_hit, datagrams_carried};
use prometheus_client::{
    collector::Collector,
    encoding::DescriptorEncoder,
    registry::{Registry, Unit},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    Ready,
    figures::{Figures, whole},
};

/// The tunnels of this process; those that have ended still count for the totals.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tunnels(Arc<Mutex<Vec<watch::Receiver<Status>>>>);

#[derive(Debug, Default)]
struct Sum {
    tunnels: usize,
    sessions: usize,
    draining: bool,
    streams: u64,
    streams_total: u64,
    received: u64,
    sent: u64,
    longest_rtt: f64,
}

impl Tunnels {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }

    pub(crate) fn add(&self, status: watch::Receiver<Status>) {
        self.lock().push(status);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<watch::Receiver<Status>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sum(&self) -> Sum {
        let mut sum = Sum::default();
        for status in &*self.lock() {
            let status = status.borrow();
            sum.tunnels += usize::from(status.phase != Phase::Ended);
            sum.sessions += usize::from(matches!(status.phase, Phase::Online(_)));
            sum.draining |= status.phase == Phase::Draining;
            sum.streams += status.streams;
            sum.streams_total += status.streams_total;
            sum.received += status.received;
            sum.sent += status.sent;
            let rtt = status.rtt.unwrap_or_default().as_secs_f64();
            sum.longest_rtt = sum.longest_rtt.max(rtt);
        }
        sum
    }
}

impl Ready for Tunnels {
    fn not_ready(&self) -> Option<&'static str> {
        match self.sum() {
            Sum { sessions: 1.., .. } => None,
            Sum { draining: true, .. } => Some("draining"),
            _ => Some("no-session"),
        }
    }

    fn details(&self) -> Value {
        let sum = self.sum();
        json!({ "tunnels": sum.tunnels, "sessions": sum.sessions, "streams": sum.streams })
    }
}

impl Collector for Tunnels {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let sum = self.sum();
        let mut figures = Figures::new(encoder, "agent");
        figures.gauge(
            "tunnels",
            "Tunnels that have not ended",
            None,
            whole(sum.tunnels),
        )?;
        figures.gauge(
            "sessions",
            "Tunnels whose session is up",
            None,
            whole(sum.sessions),
        )?;
        figures.gauge("streams", "Streams now", None, whole(sum.streams))?;
        figures.counter(
            "streams_accepted",
            "Streams that edges opened",
            None,
            sum.streams_total,
        )?;
        figures.counter(
            "received",
            "Bytes from visitors",
            Some(&Unit::Bytes),
            sum.received,
        )?;
        figures.counter("sent", "Bytes to visitors", Some(&Unit::Bytes), sum.sent)?;
        figures.gauge(
            "rtt",
            "The longest round trip to an edge",
            Some(&Unit::Seconds),
            sum.longest_rtt,
        )?;
        figures.by_two(
            "datagrams",
            "Datagrams of udp endpoints, by path: in a frame of their own, or in the stream of their flow",
            ["direction", "path"],
            datagrams_carried(),
        )?;
        figures.bounds_hit(bounds_hit())
    }
}
