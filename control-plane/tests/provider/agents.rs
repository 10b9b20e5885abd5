//! Machines without people: bound to some endpoints, and gone when they are revoked.

use std::time::Duration;

use model::{EdgeId, PlacementFact, Role};
use proto::v1::{
    self, agents_client::AgentsClient, endpoints_client::EndpointsClient,
    tokens_client::TokensClient,
};
use store::{Transaction, Value, layout};
use tonic::{Code, Status};

use crate::{
    harness::{Account, Provider, code, http, now},
    tokens::verify,
};

async fn create(
    provider: &Provider,
    who: &Account,
    name: &str,
    endpoints: &[&str],
) -> Result<(v1::Agent, Account), Status> {
    let wish = v1::CreateAgentRequest {
        name: name.into(),
        endpoints: endpoints.iter().map(ToString::to_string).collect(),
        tags: vec!["hall".into()],
        ..v1::CreateAgentRequest::default()
    };
    let made = AgentsClient::new(provider.channel.clone())
        .create(who.sign(wish))
        .await?
        .into_inner();
    let key = made.credential;
    let id = who.id.clone();
    Ok((made.agent.unwrap(), Account { id, key }))
}

async fn list(provider: &Provider, who: &Account) -> Vec<v1::Agent> {
    let asked = v1::ListAgentsRequest::default();
    AgentsClient::new(provider.channel.clone())
        .list(who.sign(asked))
        .await
        .unwrap()
        .into_inner()
        .agents
}

async fn issue(
    provider: &Provider,
    agent: &Account,
    claims: &[&str],
) -> Result<v1::IssuedToken, Status> {
    let wish = v1::IssueRequest {
        claims: claims.iter().map(ToString::to_string).collect(),
        // What it says of itself counts for nothing.
        agent: "someone-else".into(),
        ..v1::IssueRequest::default()
    };
    Ok(TokensClient::new(provider.channel.clone())
        .issue(agent.sign(wish))
        .await?
        .into_inner())
}

async fn revoke(provider: &Provider, who: &Account, name: &str) -> Result<(), Status> {
    let asked = v1::RevokeAgentRequest {
        account: who.id.to_string(),
        name: name.into(),
    };
    AgentsClient::new(provider.channel.clone())
        .revoke(who.sign(asked))
        .await
        .map(|_| ())
}

#[tokio::test]
async fn an_agent_gets_tokens_for_what_it_is_bound_to_and_for_nothing_else() {
    let provider = Provider::start().await;
    let owner = provider.account("owner", false).await;
    let cam = provider.claim(&owner, http("cam")).await.unwrap();
    let other = provider.claim(&owner, http("other")).await.unwrap();
    let (shown, agent) = create(&provider, &owner, "cam1", &["cam.t.example"])
        .await
        .unwrap();
    assert!(agent.key.starts_with("adit_agt_"), "told from API keys");
    assert_eq!((shown.name.as_str(), shown.last_use), ("cam1", 0));

    let issued = issue(&provider, &agent, &[]).await.unwrap();
    let claims = verify(&provider, &issued.token, now()).await.unwrap();
    assert_eq!(claims.subject.as_str(), shown.id);
    let names: Vec<_> = claims
        .grant
        .endpoints
        .iter()
        .map(|e| e.claim.as_str())
        .collect();
    assert_eq!(names, [cam.claim.as_str()]);
    let again = issue(&provider, &agent, &[&cam.claim]).await.unwrap();
    assert_eq!(again.grant, issued.grant, "all its tokens are of one grant");
    let refused = issue(&provider, &agent, &[&other.claim]).await.unwrap_err();
    assert_eq!(
        (refused.code(), code(&refused)),
        (Code::PermissionDenied, "not-allowed")
    );

    let asked = agent.sign(v1::ListEndpointsRequest::default());
    let seen = EndpointsClient::new(provider.channel.clone())
        .list(asked)
        .await
        .unwrap()
        .into_inner()
        .endpoints;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].name, "cam.t.example");
    assert!(list(&provider, &owner).await[0].last_use > 0);
}

#[tokio::test]
async fn a_pattern_is_for_what_is_claimed_below_it_now_and_later() {
    let provider = Provider::start().await;
    let admin = provider.account("admin", true).await;
    let (_, agent) = create(&provider, &admin, "fleet", &["*.fleet.example"])
        .await
        .unwrap();
    let nothing = issue(&provider, &agent, &[]).await.unwrap_err();
    assert_eq!(code(&nothing), "invalid");
    let one = provider
        .claim(&admin, http("one.fleet.example"))
        .await
        .unwrap();
    provider.claim(&admin, http("fleet.example")).await.unwrap();
    let issued = issue(&provider, &agent, &[]).await.unwrap();
    let claims = verify(&provider, &issued.token, now()).await.unwrap();
    let names: Vec<_> = claims
        .grant
        .endpoints
        .iter()
        .map(|e| e.claim.as_str())
        .collect();
    assert_eq!(names, [one.claim.as_str()]);
}

#[tokio::test]
async fn a_revoked_agent_gets_no_tokens_and_those_it_has_are_refused() {
    let provider = Provider::start().await;
    let owner = provider.account("owner", false).await;
    let stranger = provider.account("stranger", false).await;
    provider.claim(&owner, http("cam")).await.unwrap();
    let (_, agent) = create(&provider, &owner, "cam1", &["cam.t.example"])
        .await
        .unwrap();
    let issued = issue(&provider, &agent, &[]).await.unwrap();
    let asked = v1::RevokeAgentRequest {
        account: owner.id.to_string(),
        name: "cam1".into(),
    };
    let refused = AgentsClient::new(provider.channel.clone())
        .revoke(stranger.sign(asked))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    verify(&provider, &issued.token, now()).await.unwrap();

    revoke(&provider, &owner, "cam1").await.unwrap();
    assert!(verify(&provider, &issued.token, now()).await.is_err());
    let refused = issue(&provider, &agent, &[]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(
        revoke(&provider, &owner, "cam1").await.unwrap_err().code(),
        Code::NotFound
    );
    assert!(list(&provider, &owner).await.is_empty());

    // The name is free, and what is made anew is another agent.
    let (_, anew) = create(&provider, &owner, "cam1", &["cam.t.example"])
        .await
        .unwrap();
    let fresh = issue(&provider, &anew, &[]).await.unwrap();
    verify(&provider, &fresh.token, now()).await.unwrap();
    assert!(issue(&provider, &agent, &[]).await.is_err());
}

#[tokio::test]
async fn a_name_is_given_once_and_foreign_endpoints_not_at_all() {
    let provider = Provider::start().await;
    let (owner, other) = (
        provider.account("owner", false).await,
        provider.account("other", false).await,
    );
    provider.claim(&owner, http("cam")).await.unwrap();
    create(&provider, &owner, "cam1", &["cam.t.example"])
        .await
        .unwrap();
    let twice = create(&provider, &owner, "cam1", &["cam.t.example"])
        .await
        .unwrap_err();
    assert_eq!(
        (twice.code(), code(&twice)),
        (Code::AlreadyExists, "exists")
    );
    let foreign = create(&provider, &other, "cam1", &["cam.t.example"])
        .await
        .unwrap_err();
    assert_eq!(code(&foreign), "not-found");
    for (name, endpoints) in [
        ("a b", &["cam.t.example"][..]),
        ("cam2", &[]),
        ("cam2", &["-"]),
    ] {
        let refused = create(&provider, &owner, name, endpoints)
            .await
            .unwrap_err();
        assert_eq!(code(&refused), "invalid", "{name} {endpoints:?}");
    }
    // An agent makes no agents, and no key of the agent's role comes from elsewhere.
    let agent = provider.key_of(owner.id.clone(), Role::Agent).await;
    assert_eq!(
        issue(&provider, &agent, &[]).await.unwrap_err().code(),
        Code::Unauthenticated
    );
}

#[tokio::test]
async fn the_list_shows_where_an_agent_is_online() {
    let provider = Provider::start().await;
    let owner = provider.account("owner", false).await;
    let cam = provider.claim(&owner, http("cam")).await.unwrap();
    let (shown, _) = create(&provider, &owner, "cam1", &["cam.t.example"])
        .await
        .unwrap();
    let edge: EdgeId = "ams1".parse().unwrap();
    let fact = PlacementFact {
        edge: edge.clone(),
        session: "ses_1".parse().unwrap(),
        agent: shown.id.parse().unwrap(),
        endpoints: vec![cam.claim.parse().unwrap()],
        transport: "quic".into(),
        since: now(),
    };
    let key = layout::placement(&edge, &fact.session);
    let placed = Transaction::new().put(key, Value::json(&fact).unwrap());
    let _ = provider.store.commit(placed).await.unwrap();
    // The provider hears of it by its watch.
    let listed = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let listed = list(&provider, &owner).await;
            if !listed[0].sessions.is_empty() {
                return listed;
            }
        }
    });
    let listed = listed.await.unwrap();
    assert_eq!(listed[0].sessions.len(), 1);
    assert_eq!(listed[0].sessions[0].edge, "ams1");
    assert_eq!(listed[0].tags, ["hall"]);
}
