//! The audit log, page by page or as it grows.

use model::{Revision, UnixTime};
use proto::v1;
use store::{Change, Watch, WatchError, layout};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use super::{Api, stream::Answers};
use crate::{
    Caller,
    core::{AuditRecord, AuditScope, seen_by},
    error::{ControlError, ErrorCode},
};

#[tonic::async_trait]
impl v1::audit_server::Audit for Api {
    type FollowStream = Answers<v1::AuditRecord>;

    async fn list(
        &self,
        request: Request<v1::ListAuditRequest>,
    ) -> Result<Response<v1::ListAuditResponse>, Status> {
        let caller = self.caller(&request).await?;
        let asked = request.get_ref();
        let scope = scope(&caller, &asked.account)?;
        let after = match asked.page_token.as_str() {
            "" => None,
            token => Some(
                token
                    .parse()
                    .ok()
                    .filter(|key| layout::audit().contains(key))
                    .ok_or_else(|| ControlError::invalid("this is no page token"))?,
            ),
        };
        let since = UnixTime::from_secs(asked.since);
        let page = self.core.audit_page(&scope, since, after).await?;
        Ok(Response::new(v1::ListAuditResponse {
            records: page.records.into_iter().map(Into::into).collect(),
            next_page_token: page.next.map_or_else(String::new, |key| key.to_string()),
            revision: page.revision.0,
        }))
    }

    async fn follow(
        &self,
        request: Request<v1::FollowAuditRequest>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let caller = self.caller(&request).await?;
        let asked = request.get_ref();
        let scope = scope(&caller, &asked.account)?;
        let watch = self
            .core
            .audit_watch(Revision(asked.after_revision))
            .await?;
        let answers = self.answer_for_long(|answers| follow(watch, scope, answers))?;
        Ok(Response::new(answers))
    }
}

async fn follow(
    mut watch: Watch,
    scope: AuditScope,
    answers: mpsc::Sender<Result<v1::AuditRecord, Status>>,
) -> Result<(), ControlError> {
    loop {
        let batch = watch.next().await.map_err(ended)?;
        let entries = batch.events.iter().filter_map(|event| match &event.change {
            Change::Put(entry) => Some(entry),
            Change::Delete(_) => None,
        });
        for record in seen_by(&scope, entries) {
            if answers.send(Ok(record.into())).await.is_err() {
                return Ok(());
            }
        }
    }
}

fn ended(error: WatchError) -> ControlError {
    ControlError::new(
        ErrorCode::Unavailable,
        format!("{error}: list the audit log again"),
    )
}

/// A member sees what was done to and by its account.
fn scope(caller: &Caller, account: &str) -> Result<AuditScope, ControlError> {
    if account.is_empty() && caller.is_admin() {
        return Ok(AuditScope::Everything);
    }
    Api::account_of(caller, account).map(AuditScope::Of)
}

impl From<AuditRecord> for v1::AuditRecord {
    fn from(record: AuditRecord) -> Self {
        let text = |id: Option<String>| id.unwrap_or_default();
        Self {
            time: record.time.as_secs(),
            action: record.action,
            target: record.target,
            account: text(record.account.map(Into::into)),
            by_account: text(record.by_account.map(Into::into)),
            by_key: text(record.by_key.map(Into::into)),
            from: text(record.from.map(|from| from.to_string())),
            outcome: record.outcome,
        }
    }
}
