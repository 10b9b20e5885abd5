//! Usage: reported by edges, read by accounts.

use model::{UnixTime, Usage, UsageEntry, UsageReport};
use proto::v1;
use tonic::{Request, Response, Status};

use super::{Api, now};
use crate::{core::UsageWish, error::ControlError};

#[tonic::async_trait]
impl v1::usage_server::Usage for Api {
    async fn report(
        &self,
        request: Request<v1::ReportUsageRequest>,
    ) -> Result<Response<v1::ReportUsageResponse>, Status> {
        self.anyone(&request).await?.must_be_edge()?;
        let report = report_from_proto(request.into_inner())?;
        self.core.report_usage(&report, now()).await?;
        Ok(Response::new(v1::ReportUsageResponse {}))
    }

    async fn list(
        &self,
        request: Request<v1::ListUsageRequest>,
    ) -> Result<Response<v1::ListUsageResponse>, Status> {
        let caller = self.caller(&request).await?;
        let asked = request.into_inner();
        let account = match asked.account.as_str() {
            "" => caller.account.clone(),
            account => account.parse().map_err(ControlError::invalid)?,
        };
        let claim = Some(asked.claim.as_str()).filter(|claim| !claim.is_empty());
        let claim = claim.map(str::parse).transpose();
        let until = match asked.until {
            0 => now(),
            until => UnixTime::from_secs(until),
        };
        let wish = UsageWish {
            account,
            claim: claim.map_err(ControlError::invalid)?,
            since: UnixTime::from_secs(asked.since),
            until,
        };
        let limit = match asked.page_size {
            0 => usize::MAX,
            limit => limit as usize,
        };
        let after = Some(asked.page_token.as_str()).filter(|token| !token.is_empty());
        let page = self.core.usage(&caller, &wish, after, limit).await?;
        let hours = page.hours.into_iter().map(|hour| v1::UsageHour {
            claim: hour.claim.to_string(),
            begin: hour.begin.as_secs(),
            visits: hour.usage.visits,
            up: hour.usage.up,
            down: hour.usage.down,
        });
        Ok(Response::new(v1::ListUsageResponse {
            hours: hours.collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }
}

fn report_from_proto(report: v1::ReportUsageRequest) -> Result<UsageReport, ControlError> {
    let entries = report.entries.into_iter().map(|entry| {
        Ok(UsageEntry {
            account: entry.account.parse().map_err(ControlError::invalid)?,
            claim: entry.claim.parse().map_err(ControlError::invalid)?,
            usage: Usage {
                visits: entry.visits,
                up: entry.up,
                down: entry.down,
            },
        })
    });
    Ok(UsageReport {
        edge: report.edge.parse().map_err(ControlError::invalid)?,
        run: report.run,
        sequence: report.sequence,
        entries: entries.collect::<Result<_, ControlError>>()?,
    })
}
