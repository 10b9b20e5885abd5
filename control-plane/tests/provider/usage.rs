//! Usage: edges report it, accounts read their own, and nothing is counted twice.

use std::time::{Duration, SystemTime};

use model::{Role, UnixTime, Usage, UsageEntry, UsageReport};
use proto::v1::{self, usage_client::UsageClient};
use tonic::Code;

use crate::harness::{Account, Provider, code};

const DAY: u64 = 86_400;

/// When a day began that is old enough to be over and young enough to be kept.
fn past() -> UnixTime {
    let now = UnixTime::from(SystemTime::now()).as_secs();
    UnixTime::from_secs((now / DAY - 20) * DAY)
}

fn report(account: &Account, run: u64, sequence: u64, claims: &[&str]) -> UsageReport {
    let entries = claims.iter().map(|claim| UsageEntry {
        account: account.id.clone(),
        claim: claim.parse().unwrap(),
        usage: Usage {
            visits: 1,
            up: 10,
            down: 100,
        },
    });
    UsageReport {
        edge: "ams1".parse().unwrap(),
        run,
        sequence,
        entries: entries.collect(),
    }
}

async fn list(
    provider: &Provider,
    caller: &Account,
    wish: v1::ListUsageRequest,
) -> v1::ListUsageResponse {
    let mut usage = UsageClient::new(provider.channel.clone());
    usage.list(caller.sign(wish)).await.unwrap().into_inner()
}

/// Visits by when their hour begins and by claim.
fn visits(answer: &v1::ListUsageResponse) -> Vec<(u64, &str, u64)> {
    let hours = answer.hours.iter();
    hours
        .map(|hour| (hour.begin, hour.claim.as_str(), hour.visits))
        .collect()
}

#[tokio::test]
async fn a_report_counts_once_and_an_old_run_not_at_all() {
    let provider = Provider::start().await;
    let owner = provider.account("owner", false).await;
    let day = past();
    let now = day.plus(Duration::from_secs(60));
    for (run, sequence) in [
        (5, 1),
        (5, 1),
        (5, 2),
        (5, 1),
        (4, 9),
        (6, 1),
        (6, 1),
        (5, 3),
    ] {
        let report = report(&owner, run, sequence, &["clm_1"]);
        provider.core.report_usage(&report, now).await.unwrap();
    }
    let answer = list(&provider, &owner, v1::ListUsageRequest::default()).await;
    assert_eq!(visits(&answer), [(day.as_secs(), "clm_1", 3)]);
    assert_eq!((answer.hours[0].up, answer.hours[0].down), (30, 300));
}

#[tokio::test]
async fn pages_hours_and_claims_can_be_chosen() {
    let provider = Provider::start().await;
    let owner = provider.account("owner", false).await;
    let first = past();
    let at = |day: u64, hour: u64| first.plus(Duration::from_secs(day * DAY + hour * 3600));
    let mut sequence = 0;
    for (day, hour) in [(0, 1), (0, 23), (1, 5), (2, 0)] {
        sequence += 1;
        let report = report(&owner, 1, sequence, &["clm_1", "clm_2"]);
        provider
            .core
            .report_usage(&report, at(day, hour))
            .await
            .unwrap();
    }
    let all = list(&provider, &owner, v1::ListUsageRequest::default()).await;
    assert_eq!(all.hours.len(), 8);
    assert_eq!(all.next_page_token, "");

    let (mut paged, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let wish = v1::ListUsageRequest {
            page_size: 1,
            page_token: token,
            ..v1::ListUsageRequest::default()
        };
        let page = list(&provider, &owner, wish).await;
        paged.extend(page.hours);
        (token, pages) = (page.next_page_token, pages + 1);
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, all.hours);
    assert!(pages >= 6, "one day of one claim at a time: {pages}");

    let wish = v1::ListUsageRequest {
        claim: "clm_2".into(),
        since: at(0, 23).as_secs() + 1800,
        until: at(1, 5).as_secs(),
        ..v1::ListUsageRequest::default()
    };
    let some = list(&provider, &owner, wish).await;
    assert_eq!(
        visits(&some),
        [
            (at(0, 23).as_secs(), "clm_2", 1),
            (at(1, 5).as_secs(), "clm_2", 1)
        ]
    );
    let mut usage = UsageClient::new(provider.channel.clone());
    let wish = v1::ListUsageRequest {
        page_token: "../secret".into(),
        ..v1::ListUsageRequest::default()
    };
    let refused = usage.list(owner.sign(wish)).await.unwrap_err();
    assert_eq!(code(&refused), "invalid");
}

#[tokio::test]
async fn only_edges_report_and_only_owners_and_administrators_read() {
    let provider = Provider::start().await;
    let owner = provider.account("owner", false).await;
    let (other, admin) = (
        provider.account("other", false).await,
        provider.account("admin", true).await,
    );
    let edge = provider.key_of(admin.id.clone(), Role::Edge).await;
    let mut usage = UsageClient::new(provider.channel.clone());
    let report = v1::ReportUsageRequest {
        edge: "ams1".into(),
        run: 1,
        sequence: 1,
        entries: vec![v1::UsageEntry {
            account: owner.id.to_string(),
            claim: "clm_1".into(),
            visits: 7,
            up: 1,
            down: 2,
        }],
    };
    for caller in [&owner, &admin] {
        let refused = usage.report(caller.sign(report.clone())).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    usage.report(edge.sign(report.clone())).await.unwrap();
    usage.report(edge.sign(report.clone())).await.unwrap();
    let too_many = v1::ReportUsageRequest {
        sequence: 2,
        entries: vec![report.entries[0].clone(); 128],
        ..report
    };
    let refused = usage.report(edge.sign(too_many)).await.unwrap_err();
    assert_eq!(code(&refused), "invalid");

    let of_owner = v1::ListUsageRequest {
        account: owner.id.to_string(),
        ..v1::ListUsageRequest::default()
    };
    for caller in [&owner, &admin] {
        let answer = list(&provider, caller, of_owner.clone()).await;
        assert_eq!(answer.hours.iter().map(|hour| hour.visits).sum::<u64>(), 7);
    }
    for caller in [&other, &edge] {
        let refused = usage.list(caller.sign(of_owner.clone())).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
}

/// A provider that has kept usage for long still lists its accounts without reading all of it.
#[tokio::test]
async fn accounts_are_listed_without_their_usage() {
    let provider = Provider::start().await;
    let admin = provider.account("admin", true).await;
    let now = past();
    let claims: Vec<String> = (0..100).map(|n| format!("clm_{n}")).collect();
    let claims: Vec<&str> = claims.iter().map(String::as_str).collect();
    for day in 0..12 {
        let at = now.plus(Duration::from_secs(day * DAY));
        let report = report(&admin, 1, day + 1, &claims);
        provider.core.report_usage(&report, at).await.unwrap();
    }
    let second = provider.account("second", false).await;
    let mut accounts = v1::accounts_client::AccountsClient::new(provider.channel.clone());
    let listed = accounts.list(admin.sign(v1::ListAccountsRequest {}));
    let listed = listed.await.unwrap().into_inner().accounts;
    let mut ids: Vec<_> = listed.into_iter().map(|account| account.id).collect();
    ids.sort();
    let mut expected = [admin.id.to_string(), second.id.to_string()];
    expected.sort();
    assert_eq!(ids, expected);
    let all = list(&provider, &admin, v1::ListUsageRequest::default()).await;
    assert_eq!(all.hours.len(), 500);
    assert_ne!(all.next_page_token, "");
}
