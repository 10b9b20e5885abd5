//! Usage on its way from an edge to a control plane: of the same process, or of another one.

use std::{fmt, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use control_plane::Core;
use edge::{UsageError, UsageSink};
use model::UsageReport;
use proto::v1;

use crate::share::Provider;

pub(crate) struct LocalUsage(Arc<Core>);

/// Calls `Usage.Report` with the edge's role key.
#[derive(Debug)]
pub(crate) struct RemoteUsage(Provider);

impl LocalUsage {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self(core)
    }
}

impl RemoteUsage {
    pub(crate) const fn new(provider: Provider) -> Self {
        Self(provider)
    }
}

#[async_trait]
impl UsageSink for LocalUsage {
    async fn report(&self, report: &UsageReport) -> Result<(), UsageError> {
        let kept = self.0.report_usage(report, SystemTime::now().into()).await;
        kept.map_err(|error| UsageError(error.to_string()))
    }
}

#[async_trait]
impl UsageSink for RemoteUsage {
    async fn report(&self, report: &UsageReport) -> Result<(), UsageError> {
        let entries = report.entries.iter().map(|entry| v1::UsageEntry {
            account: entry.account.to_string(),
            claim: entry.claim.to_string(),
            visits: entry.usage.visits,
            up: entry.usage.up,
            down: entry.usage.down,
        });
        let request = v1::ReportUsageRequest {
            edge: report.edge.to_string(),
            run: report.run,
            sequence: report.sequence,
            entries: entries.collect(),
        };
        let kept = self.0.report_usage(request).await;
        kept.map_err(|error| UsageError(error.to_string()))
    }
}

impl fmt::Debug for LocalUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalUsage")
    }
}
