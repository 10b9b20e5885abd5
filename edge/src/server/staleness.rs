//! How old what the edge knows is, measured when somebody looks.

use std::sync::Arc;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};
use store::Replica;

use crate::route::Follow;

#[derive(Debug)]
pub(super) struct Staleness(Arc<Replica<Follow>>);

impl Staleness {
    pub(super) const fn new(facts: Arc<Replica<Follow>>) -> Self {
        Self(facts)
    }
}

impl Collector for Staleness {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let lost = self
            .0
            .lost_since()
            .map_or(0.0, |since| since.elapsed().as_secs_f64());
        let revision = i64::try_from(self.0.revision().0).unwrap_or(i64::MAX);
        let lost = ConstGauge::new(lost);
        let kind = lost.metric_type();
        lost.encode(encoder.encode_descriptor(
            "store_lost",
            "Since when the store does not answer; 0 while it does",
            Some(&Unit::Seconds),
            kind,
        )?)?;
        let revision = ConstGauge::new(revision);
        let kind = revision.metric_type();
        revision.encode(encoder.encode_descriptor(
            "store_revision",
            "Up to which revision the facts are known",
            None,
            kind,
        )?)?;
        let relists = ConstCounter::new(self.0.relists());
        let kind = relists.metric_type();
        relists.encode(encoder.encode_descriptor(
            "store_relists",
            "Times that all facts were read anew because the watch had forgotten too much",
            None,
            kind,
        )?)
    }
}
