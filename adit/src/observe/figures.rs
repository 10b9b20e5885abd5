//! Figures that are looked up when somebody asks, written as metrics.

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// Writes them one after the other, all with one prefix.
pub(super) struct Figures<'a> {
    encoder: DescriptorEncoder<'a>,
    prefix: &'static str,
}

impl<'a> Figures<'a> {
    pub(super) const fn new(encoder: DescriptorEncoder<'a>, prefix: &'static str) -> Self {
        Self { encoder, prefix }
    }

    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: impl EncodeCounterValue,
    ) -> fmt::Result {
        self.write(name, help, unit, &ConstCounter::new(value))
    }

    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: impl EncodeGaugeValue,
    ) -> fmt::Result {
        self.write(name, help, unit, &ConstGauge::new(value))
    }

    /// One counter with a label for each bound.
    pub(super) fn bounds_hit(
        &mut self,
        counts: impl Iterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        let name = format!("{}_bounds_hit", self.prefix);
        let help = "Times that a bound was hit";
        let mut family = self
            .encoder
            .encode_descriptor(&name, help, None, MetricType::Counter)?;
        for (bound, count) in counts {
            family
                .encode_family(&[("bound", bound)])?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }

    /// One counter for each pair of labels.
    pub(super) fn by_two(
        &mut self,
        name: &str,
        help: &str,
        labels: [&'static str; 2],
        counts: impl Iterator<Item = ([&'static str; 2], u64)>,
    ) -> fmt::Result {
        let name = format!("{}_{name}", self.prefix);
        let mut family = self
            .encoder
            .encode_descriptor(&name, help, None, MetricType::Counter)?;
        for (values, count) in counts {
            family
                .encode_family(&[(labels[0], values[0]), (labels[1], values[1])])?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: &impl EncodeMetric,
    ) -> fmt::Result {
        let name = format!("{}_{name}", self.prefix);
        let kind = value.metric_type();
        value.encode(self.encoder.encode_descriptor(&name, help, unit, kind)?)
    }
}

/// A gauge holds a signed number.
pub(super) fn whole(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
