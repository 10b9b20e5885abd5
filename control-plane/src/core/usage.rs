//! What edges report of visits and bytes, kept by claim and day, and read by whoever pays for it.

use std::collections::BTreeMap;

use model::{AccountId, ClaimId, UnixTime, Usage, UsageDay, UsageReport};
use serde::{Deserialize, Serialize};
use store::{Commit, Key, MAX_OPERATIONS, Range, Transaction, Value, layout};

use super::{COMMIT_TRIES, Caller, Core};
use crate::{
    error::{ControlError, ErrorCode},
    metrics::Hit,
};

/// Claims in one report: each is a condition and a change of one transaction, and so is the report's number.
pub(crate) const MAX_ENTRIES: usize = MAX_OPERATIONS - 1;
/// Days that are kept, today included.
pub(crate) const RETENTION_DAYS: u64 = 400;
/// Days of one claim in one answer.
pub(crate) const MAX_PAGE: usize = 500;
/// Days that are forgotten in one round of housekeeping, for each account; the next round goes on.
const FORGOTTEN_AT_ONCE: usize = MAX_OPERATIONS;

/// The last report of an edge that counts, so that the same one counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Mark {
    run: u64,
    sequence: u64,
}

/// Which usage is asked for.
#[derive(Clone, Debug)]
pub(crate) struct UsageWish {
    pub(crate) account: AccountId,
    pub(crate) claim: Option<ClaimId>,
    /// From the hour of `since` to that of `until`, both included.
    pub(crate) since: UnixTime,
    pub(crate) until: UnixTime,
}

/// One claim's hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsageHour {
    pub(crate) claim: ClaimId,
    pub(crate) begin: UnixTime,
    pub(crate) usage: Usage,
}

/// Some hours, and where the next page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UsagePage {
    pub(crate) hours: Vec<UsageHour>,
    pub(crate) next: Option<String>,
}

impl Core {
    /// Adds what an edge counted to the hour of `now`: the clock of the provider decides, and what was counted while it was
    /// away falls into the hour in which it came back. A report that has come before is not added again.
    pub async fn report_usage(
        &self,
        report: &UsageReport,
        now: UnixTime,
    ) -> Result<(), ControlError> {
        if report.entries.len() > MAX_ENTRIES {
            return Err(ControlError::invalid(format!(
                "a report has at most {MAX_ENTRIES} entries"
            )));
        }
        for _ in 0..COMMIT_TRIES {
            let Some(transaction) = self.usage_transaction(report, now).await? else {
                return Ok(());
            };
            if let Commit::Done(_) = self.store.commit(transaction).await? {
                self.metrics.usage_reports.inc();
                return Ok(());
            }
        }
        self.metrics.hit(Hit::CommitTries);
        Err(ControlError::new(
            ErrorCode::Unavailable,
            "other edges report usage of the same claims at the same time: try again",
        ))
    }

    /// None when the report, or a later one, counts already.
    async fn usage_transaction(
        &self,
        report: &UsageReport,
        now: UnixTime,
    ) -> Result<Option<Transaction>, ControlError> {
        let mark = Mark {
            run: report.run,
            sequence: report.sequence,
        };
        let mark_key = layout::usage_mark(&report.edge);
        let known = store::get::<Mark>(&*self.store, &mark_key).await?;
        if known.is_some_and(|(known, _)| known >= mark) {
            return Ok(None);
        }
        let seen = known.map(|(_, modified)| modified);
        let mut transaction =
            held(Transaction::new(), &mark_key, seen).put(mark_key.clone(), Value::json(&mark)?);
        let mut days: BTreeMap<Key, Usage> = BTreeMap::new();
        for entry in &report.entries {
            let key = layout::usage_day(&entry.account, UsageDay::number(now), &entry.claim);
            *days.entry(key).or_default() += entry.usage;
        }
        for (key, usage) in days {
            let known = store::get::<UsageDay>(&*self.store, &key).await?;
            let (mut day, seen) =
                known.map_or_else(Default::default, |(day, modified)| (day, Some(modified)));
            day.add(now, usage);
            transaction = held(transaction, &key, seen).put(key.clone(), Value::json(&day)?);
        }
        Ok(Some(transaction))
    }

    /// The hours of an account's claims, in the order of days, claims and hours. `after` is where the last page ended.
    pub(crate) async fn usage(
        &self,
        caller: &Caller,
        wish: &UsageWish,
        after: Option<&str>,
        limit: usize,
    ) -> Result<UsagePage, ControlError> {
        caller.must_own(&wish.account)?;
        let (first, last) = (UsageDay::number(wish.since), UsageDay::number(wish.until));
        let start = match after {
            Some(after) => layout::usage_after(&wish.account, after)
                .ok_or_else(|| ControlError::invalid("page_token is not one of ours"))?,
            None => layout::usage_before(&wish.account, first),
        };
        let folder = layout::usage_of(&wish.account);
        let limit = limit.clamp(1, MAX_PAGE);
        let range = Range::from(&folder).after(start);
        let page = self.store.read(&range, None, limit).await?;
        let mut answer = UsagePage::default();
        for entry in &page.entries {
            let Some((day, claim)) = layout::usage_day_of(&entry.key) else {
                continue;
            };
            if day > last {
                return Ok(answer);
            }
            if wish.claim.as_ref().is_none_or(|wanted| *wanted == claim) {
                let sums: UsageDay = entry.json()?;
                answer.hours.extend(hours(day, &claim, &sums, wish));
            }
        }
        let more = page.next.is_some();
        let end = page.entries.last().filter(|_| more);
        answer.next = end.map(|entry| layout::usage_token(&entry.key));
        Ok(answer)
    }

    /// Deletes days that are older than [`RETENTION_DAYS`], some at a time; also those of accounts that are gone.
    pub(crate) async fn forget_usage(&self, now: UnixTime) -> Result<(), ControlError> {
        let oldest = (UsageDay::number(now) + 1).saturating_sub(RETENTION_DAYS);
        let mut from = Range::from(&layout::usages());
        loop {
            let next = self.store.read(&from, None, 1).await?;
            let first = next.entries.first();
            let Some(account) = first.and_then(|entry| layout::usage_account_of(&entry.key)) else {
                return Ok(());
            };
            from = Range::from(&layout::usages()).after(layout::usage_end(&account));
            let range = Range::from(&layout::usage_of(&account));
            let page = self.store.read(&range, None, FORGOTTEN_AT_ONCE).await?;
            let old = page.entries.into_iter().map(|entry| entry.key);
            let old =
                old.filter(|key| layout::usage_day_of(key).is_some_and(|(day, _)| day < oldest));
            let transaction = old.fold(Transaction::new(), Transaction::delete);
            if !transaction.operations().is_empty() {
                // Without conditions there is no conflict.
                let _ = self.store.commit(transaction).await?;
            }
        }
    }
}

fn held(transaction: Transaction, key: &Key, seen: Option<model::Revision>) -> Transaction {
    match seen {
        Some(modified) => transaction.if_revision(key.clone(), modified),
        None => transaction.if_absent(key.clone()),
    }
}

fn hours<'a>(
    day: u64,
    claim: &'a ClaimId,
    sums: &'a UsageDay,
    wish: &'a UsageWish,
) -> impl Iterator<Item = UsageHour> + 'a {
    let all = sums.hours.iter().map(move |(hour, usage)| UsageHour {
        claim: claim.clone(),
        begin: UsageDay::begin(day, *hour),
        usage: *usage,
    });
    all.filter(move |hour| {
        let end = hour.begin.plus(std::time::Duration::from_secs(3600));
        end > wish.since && hour.begin <= wish.until
    })
}
