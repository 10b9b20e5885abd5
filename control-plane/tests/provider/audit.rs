//! The audit log: every change once, with who and from where, and nothing that is secret.

use proto::v1::{
    self, accounts_client::AccountsClient, agents_client::AgentsClient, audit_client::AuditClient,
    keys_client::KeysClient, tokens_client::TokensClient,
};
use tonic::Code;

use crate::harness::{Account, Provider, http};

async fn list(provider: &Provider, who: &Account, account: &str) -> Vec<v1::AuditRecord> {
    let (mut records, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = v1::ListAuditRequest {
            since: 0,
            account: account.into(),
            page_token,
        };
        let page = AuditClient::new(provider.channel.clone())
            .list(who.sign(asked))
            .await
            .unwrap()
            .into_inner();
        records.extend(page.records);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return records;
        }
    }
}

#[tokio::test]
async fn each_change_is_recorded_with_who_and_from_where() {
    let provider = Provider::start().await;
    let admin = provider.account("admin", true).await;
    provider.claim(&admin, http("shop")).await.unwrap();
    let wish = v1::CreateAgentRequest {
        name: "cam1".into(),
        endpoints: vec!["shop.t.example".into()],
        ..v1::CreateAgentRequest::default()
    };
    let mut agents = AgentsClient::new(provider.channel.clone());
    let made = agents.create(admin.sign(wish)).await.unwrap().into_inner();
    let revoke = v1::RevokeAgentRequest {
        name: "cam1".into(),
        ..v1::RevokeAgentRequest::default()
    };
    agents.revoke(admin.sign(revoke)).await.unwrap();
    provider.release(&admin, "shop.t.example").await.unwrap();
    KeysClient::new(provider.channel.clone())
        .rotate(admin.sign(v1::RotateRequest {}))
        .await
        .unwrap();
    let create = admin.sign(v1::CreateAccountRequest { name: "new".into() });
    let account = AccountsClient::new(provider.channel.clone())
        .create(create)
        .await
        .unwrap()
        .into_inner();

    let records = list(&provider, &admin, "").await;
    let by_hand: Vec<_> = records
        .iter()
        .filter(|record| !record.by_key.is_empty())
        .collect();
    let mut done: Vec<_> = by_hand
        .iter()
        .map(|record| (record.action.as_str(), record.target.as_str()))
        .collect();
    done.sort_unstable();
    assert_eq!(
        done,
        [
            ("account.create", account.id.as_str()),
            ("agent.create", "cam1"),
            ("agent.revoke", "cam1"),
            ("endpoint.claim", "shop.t.example"),
            ("endpoint.release", "shop.t.example"),
            ("key.rotate", "a new signing key"),
        ]
    );
    for record in by_hand {
        assert_eq!(record.by_account, admin.id.as_str());
        assert!(admin.key.contains(&record.by_key));
        assert_eq!(
            (record.from.as_str(), record.outcome.as_str()),
            ("127.0.0.1", "done")
        );
    }
    let text = format!("{records:?}");
    for secret in [&admin.key, &made.credential] {
        let (_, secret) = secret.split_at(secret.len() - 20);
        assert!(!text.contains(secret));
    }
}

#[tokio::test]
async fn members_see_their_own_records_only_and_what_they_were_refused_is_kept() {
    let provider = Provider::start().await;
    let (admin, one, two) = (
        provider.account("admin", true).await,
        provider.account("one", false).await,
        provider.account("two", false).await,
    );
    provider.claim(&one, http("one")).await.unwrap();
    provider.claim(&two, http("two")).await.unwrap();
    provider.release(&two, "one.t.example").await.unwrap_err();
    let seen = list(&provider, &one, "").await;
    assert!(seen.iter().any(|record| record.target == "one.t.example"));
    assert!(seen.iter().all(|record| record.target != "two.t.example"));
    let asked = v1::ListAuditRequest {
        account: one.id.to_string(),
        ..v1::ListAuditRequest::default()
    };
    let refused = AuditClient::new(provider.channel.clone())
        .list(two.sign(asked))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let all = list(&provider, &admin, "").await;
    let refusals: Vec<_> = all
        .iter()
        .filter(|record| record.outcome == "not-allowed")
        .collect();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert_eq!(refusals[0].action, "endpoint.release");
    assert_eq!(refusals[0].by_account, two.id.as_str());
    let of_two = list(&provider, &admin, two.id.as_str()).await;
    assert!(
        of_two
            .iter()
            .all(|record| record.target != "shop.t.example")
    );
    assert!(of_two.iter().any(|record| record.outcome == "not-allowed"));
}

#[tokio::test]
async fn pages_hold_every_record_once() {
    let provider = Provider::start().await;
    let admin = provider.account("admin", true).await;
    let mut tokens = TokensClient::new(provider.channel.clone());
    for n in 0..520 {
        let what = v1::revoke_request::What::TokenId(format!("tok_{n}"));
        let request = v1::RevokeRequest { what: Some(what) };
        tokens.revoke(admin.sign(request)).await.unwrap();
    }
    let records = list(&provider, &admin, "").await;
    let mut targets: Vec<_> = records
        .iter()
        .filter(|record| record.action == "token.revoke")
        .map(|record| &record.target)
        .collect();
    targets.sort_unstable();
    targets.dedup();
    assert_eq!(targets.len(), 520);
    let asked = v1::ListAuditRequest {
        page_token: "secret/dev-ca".into(),
        ..v1::ListAuditRequest::default()
    };
    let refused = AuditClient::new(provider.channel.clone())
        .list(admin.sign(asked))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_follower_hears_of_what_comes_after_the_list() {
    let provider = Provider::start().await;
    let admin = provider.account("admin", true).await;
    let mut audit = AuditClient::new(provider.channel.clone());
    let page = audit
        .list(admin.sign(v1::ListAuditRequest::default()))
        .await
        .unwrap()
        .into_inner();
    let asked = v1::FollowAuditRequest {
        account: String::new(),
        after_revision: page.revision,
    };
    let mut records = audit.follow(admin.sign(asked)).await.unwrap().into_inner();
    for name in ["one", "two"] {
        provider.claim(&admin, http(name)).await.unwrap();
        let record = records.message().await.unwrap().unwrap();
        assert_eq!(record.target, format!("{name}.t.example"));
    }
}
