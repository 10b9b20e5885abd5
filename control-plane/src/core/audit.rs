//! The audit log: what was changed, by whom, from where. Records are only added, in the commit of the change itself, and forgotten
//! when they are old.
//!
//! Issuing tokens changes nothing and is not in it: agents do so by themselves, and would bury the rest. Calls that are refused
//! for want of a right are, so many a minute and no more.

use std::{
    fmt::Display,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use model::{AccountId, ApiKeyId, Revision, UnixTime};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use store::{Commit, Entry, Key, MAX_OPERATIONS, Range, Transaction, Value, Watch, layout};

use super::{Caller, Core};
use crate::{
    error::{ControlError, ErrorCode},
    metrics::Hit,
};

/// How long records are kept: a quarter, which is what auditors ask for first.
pub(crate) const AUDIT_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// Records kept at most, the newest: some 40 MB, which a store holds beside everything else.
pub(crate) const MAX_AUDIT_RECORDS: usize = 100_000;
/// Refused calls that are recorded in a minute: enough to see who tries what, too few to push out what was done.
const MAX_REFUSALS_A_MINUTE: u32 = 60;
/// Records looked at for one page.
const PAGE: usize = 500;
/// The outcome of what was not refused.
const DONE: &str = "done";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    AccountCreate,
    AccountDelete,
    ApiKeyCreate,
    ApiKeyRevoke,
    AgentCreate,
    AgentRevoke,
    EndpointClaim,
    EndpointRelease,
    TokenRevoke,
    ConsentGive,
    ConsentRevoke,
    ConsentReplay,
    KeyRotate,
    KeyRetire,
    BackupExport,
}

/// Who did what to what.
pub(crate) struct Deed<'a> {
    /// None: the provider by itself.
    pub(crate) by: Option<&'a Caller>,
    pub(crate) action: Action,
    /// Whose the target is; none when it is the provider's own.
    pub(crate) account: Option<&'a AccountId>,
    pub(crate) target: &'a (dyn Display + Sync),
}

/// What stands under `audit/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AuditRecord {
    pub(crate) time: UnixTime,
    /// A text, so that a record of a newer program is read too.
    pub(crate) action: String,
    pub(crate) target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<AccountId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by_account: Option<AccountId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by_key: Option<ApiKeyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<IpAddr>,
    pub(crate) outcome: String,
}

/// Whose records a reader sees.
#[derive(Clone, Debug)]
pub(crate) enum AuditScope {
    Everything,
    Of(AccountId),
}

pub(crate) struct AuditPage {
    pub(crate) records: Vec<AuditRecord>,
    /// After which key the next page begins.
    pub(crate) next: Option<Key>,
    pub(crate) revision: Revision,
}

/// How many refusals were recorded in which minute.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<(u64, u32)>);

impl Action {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AccountCreate => "account.create",
            Self::AccountDelete => "account.delete",
            Self::ApiKeyCreate => "api-key.create",
            Self::ApiKeyRevoke => "api-key.revoke",
            Self::AgentCreate => "agent.create",
            Self::AgentRevoke => "agent.revoke",
            Self::EndpointClaim => "endpoint.claim",
            Self::EndpointRelease => "endpoint.release",
            Self::TokenRevoke => "token.revoke",
            Self::ConsentGive => "consent.give",
            Self::ConsentRevoke => "consent.revoke",
            Self::ConsentReplay => "consent.replay",
            Self::KeyRotate => "key.rotate",
            Self::KeyRetire => "key.retire",
            Self::BackupExport => "backup.export",
        }
    }
}

impl Deed<'_> {
    fn record(&self, outcome: &str, now: UnixTime) -> AuditRecord {
        AuditRecord {
            time: now,
            action: self.action.as_str().to_owned(),
            target: self.target.to_string(),
            account: self.account.cloned(),
            by_account: self.by.map(|caller| caller.account.clone()),
            by_key: self.by.map(|caller| caller.key.clone()),
            from: self.by.and_then(|caller| caller.from),
            outcome: outcome.to_owned(),
        }
    }

    /// Adds the record to the commit of the change.
    pub(crate) fn written(
        &self,
        change: Transaction,
        now: UnixTime,
    ) -> Result<Transaction, ControlError> {
        Ok(change.put(new_key(now), Value::json(&self.record(DONE, now))?))
    }
}

impl Core {
    /// Records what changes nothing in the store, and so has no commit of its own.
    pub(crate) async fn note(&self, deed: &Deed<'_>, now: UnixTime) -> Result<(), ControlError> {
        let _ = self
            .store
            .commit(deed.written(Transaction::new(), now)?)
            .await?;
        Ok(())
    }

    /// Records a call that was refused for want of a right. The caller is told the same whether that works or not.
    pub(crate) async fn note_refusal(&self, deed: &Deed<'_>, code: ErrorCode, now: UnixTime) {
        if !self.refusals.has_room(now) {
            self.metrics.hit(Hit::AuditedRefusals);
            return;
        }
        let written = Value::json(&deed.record(code.as_str(), now))
            .map(|record| Transaction::new().put(new_key(now), record));
        let committed = match written {
            Ok(transaction) => self.store.commit(transaction).await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = committed {
            tracing::warn!(%error, "a refused call cannot be recorded");
        }
    }

    /// Records from `since` on, or after the last page.
    pub(crate) async fn audit_page(
        &self,
        scope: &AuditScope,
        since: UnixTime,
        after: Option<Key>,
    ) -> Result<AuditPage, ControlError> {
        let start = after.unwrap_or_else(|| layout::audit_before(since));
        let range = Range::from(&layout::audit()).after(start);
        let page = self.store.read(&range, None, PAGE).await?;
        let last = page.entries.last().map(|entry| entry.key.clone());
        Ok(AuditPage {
            records: seen_by(scope, &page.entries),
            next: page.next.and(last),
            revision: page.revision,
        })
    }

    pub(crate) async fn audit_watch(&self, after: Revision) -> Result<Watch, ControlError> {
        Ok(self.store.watch(&layout::audit(), after).await?)
    }

    /// Forgets records that are too old, and the oldest of those that are too many.
    pub(crate) async fn prune_audit(&self, now: UnixTime) -> Result<usize, ControlError> {
        let oldest = layout::audit_before(now.minus(AUDIT_KEPT));
        let (mut kept, mut forgotten) = (Vec::new(), Vec::new());
        let mut next = Some(Range::from(&layout::audit()));
        while let Some(range) = next {
            let page = self.store.read(&range, None, PAGE).await?;
            for entry in page.entries {
                let part = if entry.key < oldest {
                    &mut forgotten
                } else {
                    &mut kept
                };
                part.push((entry.key, entry.modified));
            }
            next = page.next;
        }
        if kept.len() > MAX_AUDIT_RECORDS {
            self.metrics.hit(Hit::AuditRecords);
            forgotten.extend(kept.drain(..kept.len() - MAX_AUDIT_RECORDS));
        }
        let mut count = 0;
        for part in forgotten.chunks(MAX_OPERATIONS) {
            let forget = part.iter().fold(Transaction::new(), |all, (key, seen)| {
                all.if_revision(key.clone(), *seen).delete(key.clone())
            });
            // Another control plane was faster with some of them; what is left is forgotten the next time.
            if let Commit::Done(_) = self.store.commit(forget).await? {
                count += part.len();
            }
        }
        Ok(count)
    }
}

impl AuditScope {
    fn shows(&self, record: &AuditRecord) -> bool {
        match self {
            Self::Everything => true,
            Self::Of(account) => {
                record.account.as_ref() == Some(account)
                    || record.by_account.as_ref() == Some(account)
            }
        }
    }
}

/// Records that this reader may see; one that cannot be read is passed over with a word in the log.
pub(crate) fn seen_by<'a>(
    scope: &AuditScope,
    entries: impl IntoIterator<Item = &'a Entry>,
) -> Vec<AuditRecord> {
    let records = entries.into_iter().filter_map(|entry| {
        let record = entry.json::<AuditRecord>();
        if let Err(error) = &record {
            tracing::warn!(%error, "an audit record is passed over");
        }
        record.ok()
    });
    records.filter(|record| scope.shows(record)).collect()
}

impl Refusals {
    fn has_room(&self, now: UnixTime) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.as_secs() / 60;
        if state.0 != minute {
            *state = (minute, 0);
        }
        state.1 += 1;
        state.1 <= MAX_REFUSALS_A_MINUTE
    }
}

fn new_key(now: UnixTime) -> Key {
    let mut random = [0; 8];
    rand::rng().fill_bytes(&mut random);
    layout::audit_record(now, &random)
}
