//! API keys: shown once, needed everywhere, gone when revoked.

use model::Role;
use proto::v1::{
    self, accounts_client::AccountsClient, edges_client::EdgesClient,
    endpoints_client::EndpointsClient, keys_client::KeysClient, tokens_client::TokensClient,
};
use store::Root;
use tonic::{Code, Request};

use crate::harness::{Provider, code, http, with_key};

#[tokio::test]
async fn without_a_good_key_nothing_is_told() {
    let provider = Provider::start().await;
    let one = provider.account("one", false).await;
    let mut endpoints = EndpointsClient::new(provider.channel.clone());
    let absent = endpoints
        .list(Request::new(v1::ListEndpointsRequest::default()))
        .await
        .unwrap_err();
    assert_eq!(
        (absent.code(), code(&absent)),
        (Code::Unauthenticated, "unauthenticated")
    );
    let wrong_secret = format!("{}x", &one.key[..one.key.len() - 1]);
    let unknown_id = one.key.replacen("key_", "key_0", 1);
    for bad in [
        "",
        "adit",
        "adit_key_a_b",
        &wrong_secret,
        &unknown_id,
        &"x".repeat(4000),
    ] {
        let refused = endpoints
            .list(with_key(bad, v1::ListEndpointsRequest::default()))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{bad}");
    }
}

#[tokio::test]
async fn owners_are_no_administrators() {
    let provider = Provider::start().await;
    let (owner, other) = (
        provider.account("owner", false).await,
        provider.account("other", false).await,
    );
    let mut accounts = AccountsClient::new(provider.channel.clone());
    let create = v1::CreateAccountRequest { name: "new".into() };
    assert_eq!(
        accounts
            .create(owner.sign(create))
            .await
            .unwrap_err()
            .code(),
        Code::PermissionDenied
    );
    for (account, role) in [
        (&owner.id, v1::Role::Admin),
        (&owner.id, v1::Role::Edge),
        (&other.id, v1::Role::Member),
    ] {
        let wish = v1::CreateApiKeyRequest {
            account: account.to_string(),
            name: "k".into(),
            role: role.into(),
        };
        assert_eq!(
            accounts
                .create_api_key(owner.sign(wish))
                .await
                .unwrap_err()
                .code(),
            Code::PermissionDenied
        );
    }
}

#[tokio::test]
async fn a_key_works_until_it_is_revoked_and_is_not_kept() {
    let provider = Provider::start().await;
    let admin = provider.account("admin", true).await;
    let mut accounts = AccountsClient::new(provider.channel.clone());
    let create = admin.sign(v1::CreateAccountRequest { name: "new".into() });
    let account = accounts.create(create).await.unwrap().into_inner();
    let wish = v1::CreateApiKeyRequest {
        account: account.id.clone(),
        name: "k".into(),
        role: v1::Role::Member.into(),
    };
    let made = accounts
        .create_api_key(admin.sign(wish))
        .await
        .unwrap()
        .into_inner();
    let who = accounts
        .who_am_i(with_key(&made.secret, v1::WhoAmIRequest {}))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (who.account.as_str(), who.api_key.as_str(), who.role()),
        (account.id.as_str(), made.id.as_str(), v1::Role::Member)
    );

    let (_, secret) = made.secret.rsplit_once(&format!("{}_", made.id)).unwrap();
    let (entries, _) = store::entries(&*provider.store, &Root::Account.into())
        .await
        .unwrap();
    let kept = |entry: &store::Entry| String::from_utf8_lossy(&entry.value).contains(secret);
    assert!(
        !entries.is_empty() && !entries.iter().any(kept),
        "only a hash of the secret is kept"
    );

    accounts
        .revoke_api_key(admin.sign(v1::RevokeApiKeyRequest { id: made.id }))
        .await
        .unwrap();
    let refused = accounts
        .who_am_i(with_key(&made.secret, v1::WhoAmIRequest {}))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn keys_of_edges_and_agents_open_nothing_else() {
    let provider = Provider::start().await;
    let owner = provider.account("owner", true).await;
    for role in [Role::Edge, Role::Agent] {
        let key = provider.key_of(owner.id.clone(), role).await;
        let mut accounts = AccountsClient::new(provider.channel.clone());
        let who = accounts
            .who_am_i(key.sign(v1::WhoAmIRequest {}))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(who.role(), proto::role_to_proto(role));
        let refused = provider.claim(&key, http("shop")).await.unwrap_err();
        assert_eq!(
            (refused.code(), code(&refused)),
            (Code::PermissionDenied, "not-allowed")
        );
        assert!(refused.message().contains(role.as_str()), "{refused}");
        let wish = v1::CreateApiKeyRequest {
            account: owner.id.to_string(),
            name: "more".into(),
            role: v1::Role::Member.into(),
        };
        let create = accounts.create_api_key(key.sign(wish)).await.unwrap_err();
        let list = accounts
            .list(key.sign(v1::ListAccountsRequest {}))
            .await
            .unwrap_err();
        let keys = KeysClient::new(provider.channel.clone())
            .list(key.sign(v1::ListKeysRequest {}))
            .await
            .unwrap_err();
        let edges = EdgesClient::new(provider.channel.clone())
            .list(key.sign(v1::ListEdgesRequest {}))
            .await
            .unwrap_err();
        let revoke = v1::RevokeRequest {
            what: Some(v1::revoke_request::What::Account(owner.id.to_string())),
        };
        let revoke = TokensClient::new(provider.channel.clone())
            .revoke(key.sign(revoke))
            .await
            .unwrap_err();
        for refused in [create, list, keys, edges, revoke] {
            assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        }
    }
}
