//! `adit admin usage`: what the endpoints of an account carried.

use std::{collections::BTreeMap, time::SystemTime};

use model::{UnixTime, Usage};
use proto::v1;
use serde_json::{Value, json};

use super::{Answer, Table, time::moment};
use crate::{
    cli::{UsageArgs, UsageStep},
    failure::Failure,
    share::Provider,
};

/// Sums by when they begin and by claim.
type Sums = BTreeMap<(u64, String), Usage>;
/// What claims are called.
type Names = BTreeMap<String, String>;

pub(super) async fn run(provider: &Provider, args: UsageArgs) -> Result<Answer, Failure> {
    let now = UnixTime::from(SystemTime::now());
    let mut wish = v1::ListUsageRequest {
        account: args.account.unwrap_or_default(),
        claim: args.claim.unwrap_or_default(),
        since: now.minus(args.since).as_secs(),
        ..v1::ListUsageRequest::default()
    };
    let mut sums = Sums::new();
    loop {
        let page = provider.list_usage(wish.clone()).await?;
        for hour in page.hours {
            add(&mut sums, args.by, hour);
        }
        if page.next_page_token.is_empty() {
            break;
        }
        wish.page_token = page.next_page_token;
    }
    let names = names(provider, wish.account).await?;
    Ok(answer(&sums, args.by, &names))
}

fn add(sums: &mut Sums, by: UsageStep, hour: v1::UsageHour) {
    let begin = match by {
        UsageStep::Hour => hour.begin,
        UsageStep::Day => hour.begin - hour.begin % 86_400,
        UsageStep::Total => 0,
    };
    *sums.entry((begin, hour.claim)).or_default() += Usage {
        visits: hour.visits,
        up: hour.up,
        down: hour.down,
    };
}

/// Of what the account has claimed now; what was released is called by its claim.
async fn names(provider: &Provider, account: String) -> Result<Names, Failure> {
    let endpoints = provider.endpoints(account).await?.into_iter();
    Ok(endpoints
        .map(|endpoint| (endpoint.claim, endpoint.name))
        .collect())
}

fn answer(sums: &Sums, by: UsageStep, names: &Names) -> Answer {
    let rows = sums.iter().map(|((begin, claim), usage)| {
        let name = names.get(claim).unwrap_or(claim).clone();
        let counts = [usage.visits, usage.up, usage.down].map(|count| count.to_string());
        let [visits, up, down] = counts;
        [beginning(*begin, by), name, visits, up, down]
    });
    let table = Table::new(["SINCE", "ENDPOINT", "VISITS", "UP", "DOWN"], rows);
    let values = sums.iter().map(|((begin, claim), usage)| {
        let mut value = json!({
            "claim": claim, "name": names.get(claim), "visits": usage.visits, "up": usage.up, "down": usage.down,
        });
        if by != UsageStep::Total {
            value["begin"] = (*begin).into();
        }
        value
    });
    Answer::table(values.collect::<Value>(), table)
}

/// `2026-11-25`, and the hour where that tells something.
fn beginning(secs: u64, by: UsageStep) -> String {
    let mut text = moment(secs);
    text.truncate(match by {
        UsageStep::Hour => "2026-11-25 22:58".len(),
        UsageStep::Day | UsageStep::Total => "2026-11-25".len(),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_summed_as_asked() {
        let hour = |begin, claim: &str| v1::UsageHour {
            claim: claim.into(),
            begin,
            visits: 1,
            up: 2,
            down: 3,
        };
        for (by, rows) in [
            (UsageStep::Hour, 3),
            (UsageStep::Day, 2),
            (UsageStep::Total, 2),
        ] {
            let mut sums = Sums::new();
            for hour in [hour(0, "a"), hour(3600, "a"), hour(3600, "b")] {
                add(&mut sums, by, hour);
            }
            assert_eq!(sums.len(), rows, "{by:?}");
            assert_eq!(sums.values().map(|sum| sum.down).sum::<u64>(), 9);
        }
    }

    #[test]
    fn rows_say_when_they_begin() {
        let secs = 20_782 * 86_400 + 7200;
        for (by, text) in [
            (UsageStep::Hour, "2026-11-25 02:00"),
            (UsageStep::Day, "2026-11-25"),
        ] {
            assert_eq!(beginning(secs, by), text);
        }
        assert_eq!(beginning(0, UsageStep::Total), "-");
    }
}
