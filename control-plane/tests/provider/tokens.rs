//! Tokens are what edges verify, and revocations are what edges read.

use model::{RevocationFact, UnixTime};
use proto::v1::{self, revoke_request::What, tokens_client::TokensClient};
use store::layout;
use token::{Claims, Expect, KeySet, PublicKey, Revocations};
use tonic::{Code, Status};

use crate::harness::{Account, Provider, code, http, now};

async fn issue(
    provider: &Provider,
    who: &Account,
    claims: &[&str],
) -> Result<v1::IssuedToken, Status> {
    let claims = claims.iter().map(ToString::to_string).collect();
    let request = who.sign(v1::IssueRequest {
        claims,
        ..v1::IssueRequest::default()
    });
    Ok(TokensClient::new(provider.channel.clone())
        .issue(request)
        .await?
        .into_inner())
}

async fn revoke(provider: &Provider, who: &Account, what: What) -> Result<(), Status> {
    let request = who.sign(v1::RevokeRequest { what: Some(what) });
    TokensClient::new(provider.channel.clone())
        .revoke(request)
        .await?;
    Ok(())
}

/// As an edge does: keys and revocations from the store, and nobody asked.
pub(crate) async fn verify(
    provider: &Provider,
    token: &str,
    now: UnixTime,
) -> Result<Claims, String> {
    let (keys, _) = store::list::<PublicKey>(&*provider.store, &layout::jwks())
        .await
        .unwrap();
    let keys: KeySet = keys.into_iter().map(|(_, key)| key).collect();
    let expect = Expect {
        issuer: provider.core.issuer().to_owned(),
        audience: provider.core.audience(),
    };
    let claims = token::verify(token, &keys, &expect, now).map_err(|error| error.to_string())?;
    let (facts, _) = store::list::<RevocationFact>(&*provider.store, &layout::revocations())
        .await
        .unwrap();
    let mut revocations = Revocations::default();
    facts
        .into_iter()
        .for_each(|(_, fact)| revocations.insert(fact));
    revocations
        .check(&claims)
        .map_err(|revoked| format!("{revoked:?}"))?;
    Ok(claims)
}

#[tokio::test]
async fn an_edge_accepts_what_is_issued() {
    let provider = Provider::start().await;
    let one = provider.account("one", false).await;
    let shop = provider.claim(&one, http("shop")).await.unwrap();
    let issued = issue(&provider, &one, &[&shop.claim]).await.unwrap();
    let claims = verify(&provider, &issued.token, now()).await.unwrap();
    assert_eq!(claims.account, one.id);
    assert_eq!(claims.grant.endpoints.len(), 1);
    assert_eq!(claims.grant.endpoints[0].claim.as_str(), shop.claim);
    assert_eq!(claims.expires.as_secs(), issued.expires);
    assert!(claims.revision > model::Revision::ZERO);
    let expired = verify(&provider, &issued.token, claims.expires).await;
    assert_eq!(expired.unwrap_err(), "the token has expired");
}

#[tokio::test]
async fn strangers_claims_and_long_lives_are_refused() {
    let provider = Provider::start().await;
    let (one, two) = (
        provider.account("one", false).await,
        provider.account("two", false).await,
    );
    let shop = provider.claim(&one, http("shop")).await.unwrap();
    assert_eq!(
        issue(&provider, &two, &[&shop.claim])
            .await
            .unwrap_err()
            .code(),
        Code::NotFound
    );
    assert_eq!(
        issue(&provider, &one, &[]).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let long = v1::IssueRequest {
        claims: vec![shop.claim],
        ttl: 7 * 24 * 3600,
        ..v1::IssueRequest::default()
    };
    let refused = TokensClient::new(provider.channel.clone())
        .issue(one.sign(long))
        .await
        .unwrap_err();
    assert_eq!(code(&refused), "invalid");
    assert!(
        refused.message().contains("600"),
        "says how long is allowed: {refused}"
    );
}

#[tokio::test]
async fn each_kind_of_revocation_refuses_the_token() {
    for kind in 0..4 {
        let provider = Provider::start().await;
        let one = provider.account("one", false).await;
        let shop = provider.claim(&one, http("shop")).await.unwrap();
        let issued = issue(&provider, &one, &[&shop.claim]).await.unwrap();
        verify(&provider, &issued.token, now()).await.unwrap();
        let what = match kind {
            0 => What::TokenId(issued.token_id.clone()),
            1 => What::Grant(issued.grant.clone()),
            2 => What::Claim(shop.claim.clone()),
            _ => What::Account(one.id.to_string()),
        };
        revoke(&provider, &one, what.clone()).await.unwrap();
        assert!(
            verify(&provider, &issued.token, now()).await.is_err(),
            "{what:?}"
        );
    }
}

#[tokio::test]
async fn a_token_issued_right_after_a_revocation_is_good() {
    let provider = Provider::start().await;
    let one = provider.account("one", false).await;
    let shop = provider.claim(&one, http("shop")).await.unwrap();
    for what in [
        What::Account(one.id.to_string()),
        What::Claim(shop.claim.clone()),
    ] {
        let before = issue(&provider, &one, &[&shop.claim]).await.unwrap();
        revoke(&provider, &one, what.clone()).await.unwrap();
        let after = issue(&provider, &one, &[&shop.claim]).await.unwrap();
        assert!(
            verify(&provider, &before.token, now()).await.is_err(),
            "{what:?}"
        );
        verify(&provider, &after.token, now()).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_ones_own_cannot_be_revoked() {
    let provider = Provider::start().await;
    let (one, two) = (
        provider.account("one", false).await,
        provider.account("two", false).await,
    );
    let shop = provider.claim(&one, http("shop")).await.unwrap();
    for what in [What::Claim(shop.claim), What::Account(one.id.to_string())] {
        assert_eq!(
            revoke(&provider, &two, what).await.unwrap_err().code(),
            Code::PermissionDenied
        );
    }
}

#[tokio::test]
async fn a_release_refuses_the_token_in_the_same_commit() {
    let provider = Provider::start().await;
    let one = provider.account("one", false).await;
    let shop = provider.claim(&one, http("shop")).await.unwrap();
    let issued = issue(&provider, &one, &[&shop.claim]).await.unwrap();
    let (_, before) = store::entries(&*provider.store, &layout::public())
        .await
        .unwrap();
    provider.release(&one, "shop.t.example").await.unwrap();
    let mut watch = provider
        .store
        .watch(&layout::public(), before)
        .await
        .unwrap();
    assert_eq!(
        watch.next().await.unwrap().events.len(),
        2,
        "the name goes and the revocation comes"
    );
    assert!(verify(&provider, &issued.token, now()).await.is_err());
}

#[tokio::test]
async fn a_refreshed_token_keeps_its_grant_and_dies_with_it() {
    let provider = Provider::start().await;
    let one = provider.account("one", false).await;
    let shop = provider.claim(&one, http("shop")).await.unwrap();
    let issued = issue(&provider, &one, &[&shop.claim]).await.unwrap();
    let mut tokens = TokensClient::new(provider.channel.clone());
    let refresh = |token: &str| {
        one.sign(v1::RefreshRequest {
            token: token.into(),
        })
    };
    let second = tokens
        .refresh(refresh(&issued.token))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(second.grant, issued.grant);
    assert_ne!(second.token_id, issued.token_id);
    revoke(&provider, &one, What::Grant(issued.grant))
        .await
        .unwrap();
    assert!(verify(&provider, &second.token, now()).await.is_err());
    assert_eq!(
        tokens
            .refresh(refresh(&second.token))
            .await
            .unwrap_err()
            .code(),
        Code::PermissionDenied
    );
    assert_eq!(
        tokens.refresh(refresh("a.b.c")).await.unwrap_err().code(),
        Code::InvalidArgument
    );
}

#[tokio::test]
async fn a_token_is_bound_to_the_key_that_is_named_and_stays_so() {
    let provider = Provider::start().await;
    let alice = provider.account("alice", false).await;
    let claim = provider.claim(&alice, http("shop")).await.unwrap().claim;
    let key = token::ProofKey::generate().unwrap();
    let mut tokens = TokensClient::new(provider.channel.clone());
    let wish = |thumbprint: String| v1::IssueRequest {
        claims: vec![claim.clone()],
        key_thumbprint: thumbprint,
        ..v1::IssueRequest::default()
    };
    let issued = tokens.issue(alice.sign(wish(key.thumbprint()))).await;
    let issued = issued.unwrap().into_inner();
    let claims = verify(&provider, &issued.token, now()).await.unwrap();
    assert_eq!(claims.confirmation, Some(key.thumbprint()));
    let token = issued.token;
    let refreshed = tokens
        .refresh(alice.sign(v1::RefreshRequest { token }))
        .await;
    let refreshed = refreshed.unwrap().into_inner();
    let claims = verify(&provider, &refreshed.token, now()).await.unwrap();
    assert_eq!(claims.confirmation, Some(key.thumbprint()));
    let refused = tokens.issue(alice.sign(wish("short".into()))).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
}
