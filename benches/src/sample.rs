//! One measured value, as it stands in the file of raw samples: a JSON object a line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::proc::{Cpu, Used};

/// What a load measured.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Measured {
    /// Gbit/s, requests or connections a second, bytes or milliseconds, as the metric says.
    pub(crate) value: f64,
    pub(crate) seconds: f64,
    /// Bytes, requests or connections within these seconds.
    pub(crate) count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p50_us: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p99_us: Option<f64>,
    /// The slowest of many streams, as a share of their mean: 1 is fair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slowest: Option<f64>,
    /// CPU seconds of each role within these seconds.
    #[serde(default)]
    pub(crate) cpu: BTreeMap<String, Cpu>,
    /// Cores that processes outside of the measurement used meanwhile.
    #[serde(default)]
    pub(crate) others: f64,
}

impl Measured {
    /// A value that has no window of time.
    pub(crate) fn plain(value: f64, count: u64) -> Self {
        Self {
            value,
            count,
            ..Self::default()
        }
    }

    /// So much within a window.
    pub(crate) fn within(used: Used, count: u64, per_second: impl Fn(f64) -> f64) -> Self {
        Self {
            value: per_second(count as f64 / used.seconds),
            seconds: used.seconds,
            count,
            cpu: used.cpu,
            others: used.others,
            ..Self::default()
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Sample {
    pub(crate) row: String,
    pub(crate) metric: String,
    pub(crate) round: u32,
    #[serde(flatten)]
    pub(crate) measured: Measured,
    /// Seconds since 1970.
    pub(crate) time: u64,
    pub(crate) commit: String,
    pub(crate) machine: String,
    pub(crate) command: String,
}
