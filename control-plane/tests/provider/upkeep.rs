//! What administrators do to a provider: accounts that go, keys that leaked, backups, the store's version.

use std::sync::Arc;

use model::Role;
use prometheus_client::registry::Registry;
use proto::v1::{
    self, accounts_client::AccountsClient, agents_client::AgentsClient,
    backups_client::BackupsClient, endpoints_client::EndpointsClient, keys_client::KeysClient,
    tokens_client::TokensClient,
};
use store::{
    Embedded, Prefix, Root, SharedStore, Transaction,
    backup::{self, Over},
    layout,
};
use tonic::{Code, Status};

use crate::{
    harness::{Account, Provider, code, config, envelope, http, now},
    tokens::verify,
};

async fn issue(provider: &Provider, who: &Account, claim: &str) -> v1::IssuedToken {
    let wish = v1::IssueRequest {
        claims: vec![claim.into()],
        ..v1::IssueRequest::default()
    };
    TokensClient::new(provider.channel.clone())
        .issue(who.sign(wish))
        .await
        .unwrap()
        .into_inner()
}

async fn delete(
    provider: &Provider,
    who: &Account,
    account: &str,
) -> Result<v1::DeletedAccount, Status> {
    let asked = v1::DeleteAccountRequest {
        account: account.into(),
    };
    Ok(AccountsClient::new(provider.channel.clone())
        .delete(who.sign(asked))
        .await?
        .into_inner())
}

#[tokio::test]
async fn of_a_deleted_account_nothing_is_left_and_nothing_works() {
    let provider = Provider::start().await;
    let (admin, owner) = (
        provider.account("admin", true).await,
        provider.account("owner", false).await,
    );
    let shop = provider.claim(&owner, http("shop")).await.unwrap();
    // More than go in one commit.
    for n in 0..45 {
        provider
            .claim(&owner, http(&format!("more-{n}")))
            .await
            .unwrap();
        provider.key_of(owner.id.clone(), Role::Member).await;
    }
    let wish = v1::CreateAgentRequest {
        name: "cam1".into(),
        endpoints: vec![shop.name.clone()],
        ..v1::CreateAgentRequest::default()
    };
    AgentsClient::new(provider.channel.clone())
        .create(owner.sign(wish))
        .await
        .unwrap();
    let issued = issue(&provider, &owner, &shop.claim).await;

    assert_eq!(
        delete(&provider, &owner, owner.id.as_str())
            .await
            .unwrap_err()
            .code(),
        Code::PermissionDenied
    );
    assert_eq!(
        code(
            &delete(&provider, &admin, admin.id.as_str())
                .await
                .unwrap_err()
        ),
        "invalid"
    );
    let deleted = delete(&provider, &admin, owner.id.as_str()).await.unwrap();
    assert_eq!((deleted.endpoints, deleted.keys), (46, 47));
    assert!(verify(&provider, &issued.token, now()).await.is_err());
    let refused = provider.claim(&owner, http("again")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    for root in [Root::Account, Root::Public] {
        let (entries, _) = store::entries(&*provider.store, &Prefix::from(root))
            .await
            .unwrap();
        let left: Vec<_> = entries
            .iter()
            .filter(|entry| {
                entry.key.root() == Root::Account || layout::endpoints().contains(&entry.key)
            })
            .filter(|entry| {
                let value = String::from_utf8_lossy(&entry.value);
                value.contains(owner.id.as_str()) || entry.key.as_str().contains(owner.id.as_str())
            })
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
    let gone = delete(&provider, &admin, owner.id.as_str())
        .await
        .unwrap_err();
    assert_eq!(code(&gone), "not-found");
    provider.claim(&admin, http("shop")).await.unwrap();
}

#[tokio::test]
async fn a_deletion_that_was_interrupted_is_finished_by_the_next_one() {
    let provider = Provider::start().await;
    let (admin, owner) = (
        provider.account("admin", true).await,
        provider.account("owner", false).await,
    );
    provider.claim(&owner, http("shop")).await.unwrap();
    let begun = Transaction::new().delete(layout::account(&owner.id));
    let _ = provider.store.commit(begun).await.unwrap();
    let refused = provider.claim(&owner, http("more")).await.unwrap_err();
    assert_eq!(
        refused.code(),
        Code::Unavailable,
        "nothing is made for it any more"
    );
    let deleted = delete(&provider, &admin, owner.id.as_str()).await.unwrap();
    assert_eq!((deleted.endpoints, deleted.keys), (1, 1));
}

#[tokio::test]
async fn a_retired_key_is_out_of_the_key_set_and_another_one_signs_at_once() {
    let provider = Provider::start().await;
    let admin = provider.account("admin", true).await;
    let shop = provider.claim(&admin, http("shop")).await.unwrap();
    let before = issue(&provider, &admin, &shop.claim).await;
    let mut keys = KeysClient::new(provider.channel.clone());
    let listed = keys
        .list(admin.sign(v1::ListKeysRequest {}))
        .await
        .unwrap()
        .into_inner()
        .keys;
    let leaked = &listed[0].id;
    let owner = provider.account("owner", false).await;
    let retire = || v1::RetireRequest { id: leaked.clone() };
    assert_eq!(
        keys.retire(owner.sign(retire())).await.unwrap_err().code(),
        Code::PermissionDenied
    );
    let left = keys
        .retire(admin.sign(retire()))
        .await
        .unwrap()
        .into_inner()
        .keys;
    assert!(left.iter().all(|key| key.id != *leaked), "{left:?}");
    assert!(verify(&provider, &before.token, now()).await.is_err());
    let after = issue(&provider, &admin, &shop.claim).await;
    verify(&provider, &after.token, now()).await.unwrap();
    let (_, body) = provider.get("/.well-known/jwks.json").await;
    assert!(!body.contains(leaked.as_str()), "{body}");
    assert_eq!(
        code(&keys.retire(admin.sign(retire())).await.unwrap_err()),
        "not-found"
    );
}

#[tokio::test]
async fn a_restored_provider_takes_the_keys_and_tokens_of_the_lost_one() {
    let lost = Provider::start().await;
    let admin = lost.account("admin", true).await;
    let shop = lost.claim(&admin, http("shop")).await.unwrap();
    let issued = issue(&lost, &admin, &shop.claim).await;
    let member = lost.account("member", false).await;
    let mut backups = BackupsClient::new(lost.channel.clone());
    let refused = backups
        .export(member.sign(v1::ExportRequest {}))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let mut parts = backups
        .export(admin.sign(v1::ExportRequest {}))
        .await
        .unwrap()
        .into_inner();
    let mut bytes = Vec::new();
    while let Some(part) = parts.message().await.unwrap() {
        bytes.extend(part.data);
    }
    let issuer = lost.core.issuer().to_owned();
    drop(lost);

    let read = backup::read(bytes.as_slice()).unwrap();
    assert_eq!(read.header.issuer, issuer);
    let store: SharedStore = Arc::new(Embedded::in_memory().unwrap());
    backup::restore(&*store, &envelope(), &read, Over::Nothing)
        .await
        .unwrap();
    let found = Provider::over(store, Some(issuer)).await;
    verify(&found, &issued.token, now()).await.unwrap();
    let listed = EndpointsClient::new(found.channel.clone())
        .list(admin.sign(v1::ListEndpointsRequest::default()))
        .await
        .unwrap()
        .into_inner()
        .endpoints;
    assert_eq!(listed[0].claim, shop.claim);
    let again = issue(&found, &admin, &shop.claim).await;
    verify(&found, &again.token, now()).await.unwrap();
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused() {
    let store: SharedStore = Arc::new(Embedded::in_memory().unwrap());
    let newer = Transaction::new().put(layout::schema(), "{\"version\":99}");
    let _ = store.commit(newer).await.unwrap();
    let envelope = Arc::new(envelope());
    let bound =
        control_plane::ControlPlane::bind(config(), store, envelope, &mut Registry::default())
            .await;
    let refused = bound.unwrap_err().to_string();
    assert!(
        refused.contains("99") && refused.contains("newer adit"),
        "{refused}"
    );
}
