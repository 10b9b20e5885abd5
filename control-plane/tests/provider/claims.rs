//! Who gets a name, and what happens when several want it.

use std::collections::BTreeSet;

use proto::v1::{self, endpoints_client::EndpointsClient};
use tonic::Code;

use crate::harness::{Provider, code, http, remembered};

#[tokio::test]
async fn of_two_accounts_exactly_one_gets_a_name() {
    let provider = Provider::start().await;
    let (one, two) = (
        provider.account("one", false).await,
        provider.account("two", false).await,
    );
    for round in 0..20 {
        let name = format!("race-{round}");
        let (a, b) = tokio::join!(
            provider.claim(&one, http(&name)),
            provider.claim(&two, http(&name))
        );
        let refused = match (a, b) {
            (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (refused.code(), code(&refused)),
            (Code::AlreadyExists, "name-taken")
        );
    }
}

#[tokio::test]
async fn a_claim_is_idempotent_and_new_after_a_release() {
    let provider = Provider::start().await;
    let (one, two) = (
        provider.account("one", false).await,
        provider.account("two", false).await,
    );
    let first = provider.claim(&one, http("shop")).await.unwrap();
    assert_eq!(first.name, "shop.t.example");
    assert_eq!(
        provider
            .claim(&one, http("shop.t.example"))
            .await
            .unwrap()
            .claim,
        first.claim
    );

    let tls = v1::ClaimRequest {
        kind: v1::Kind::Tls.into(),
        ..http("shop")
    };
    let other_kind = provider.claim(&one, tls).await.unwrap_err();
    assert_eq!(
        (other_kind.code(), code(&other_kind)),
        (Code::FailedPrecondition, "kind-differs")
    );
    assert!(other_kind.message().contains("release"), "{other_kind}");

    assert_eq!(
        provider
            .release(&two, "shop.t.example")
            .await
            .unwrap_err()
            .code(),
        Code::PermissionDenied
    );
    provider.release(&one, "shop.t.example").await.unwrap();
    assert_eq!(
        provider
            .release(&one, "shop.t.example")
            .await
            .unwrap_err()
            .code(),
        Code::NotFound
    );
    assert_ne!(
        provider.claim(&two, http("shop")).await.unwrap().claim,
        first.claim
    );
}

#[tokio::test]
async fn releasing_twice_at_once_releases_once() {
    let provider = Provider::start().await;
    let one = provider.account("one", false).await;
    provider.claim(&one, http("shop")).await.unwrap();
    let (a, b) = tokio::join!(
        provider.release(&one, "shop.t.example"),
        provider.release(&one, "shop.t.example")
    );
    assert_eq!(
        usize::from(a.is_ok()) + usize::from(b.is_ok()),
        1,
        "{a:?} {b:?}"
    );
}

#[tokio::test]
async fn a_target_keeps_its_random_name_also_after_a_release() {
    let provider = Provider::start().await;
    let one = provider.account("one", false).await;
    let wish = || remembered(v1::Kind::Http, "laptop", "3000");
    let first = provider.claim(&one, wish()).await.unwrap();
    assert_eq!(
        provider.claim(&one, wish()).await.unwrap().claim,
        first.claim
    );
    provider.release(&one, &first.name).await.unwrap();
    let again = provider.claim(&one, wish()).await.unwrap();
    assert_eq!(again.name, first.name);
    assert_ne!(again.claim, first.claim);
    let other = provider
        .claim(&one, remembered(v1::Kind::Http, "laptop", "3001"))
        .await
        .unwrap();
    assert_ne!(other.name, first.name);
}

#[tokio::test]
async fn a_remembered_name_that_another_account_took_is_replaced_for_good() {
    let provider = Provider::start().await;
    let (one, two) = (
        provider.account("one", false).await,
        provider.account("two", false).await,
    );
    let wish = || remembered(v1::Kind::Http, "laptop", "3000");
    let first = provider.claim(&one, wish()).await.unwrap();
    provider.release(&one, &first.name).await.unwrap();
    provider.claim(&two, http(&first.name)).await.unwrap();
    let second = provider.claim(&one, wish()).await.unwrap();
    assert_ne!(second.name, first.name);
    assert_eq!(
        provider.claim(&one, wish()).await.unwrap().claim,
        second.claim
    );
}

#[tokio::test]
async fn claims_of_one_target_at_once_agree() {
    let provider = Provider::start().await;
    let one = provider.account("one", false).await;
    for target in 0..10 {
        let wish = || remembered(v1::Kind::Http, "laptop", &target.to_string());
        let (a, b, c) = tokio::join!(
            provider.claim(&one, wish()),
            provider.claim(&one, wish()),
            provider.claim(&one, wish())
        );
        let names: BTreeSet<_> = [a, b, c]
            .into_iter()
            .map(|claimed| claimed.unwrap().name)
            .collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }
}

#[tokio::test]
async fn ports_run_out_and_come_back() {
    let provider = Provider::start().await;
    let one = provider.account("one", false).await;
    let wish = |target: &str| remembered(v1::Kind::Tcp, "laptop", target);
    let mut ports = BTreeSet::new();
    for target in ["a", "b", "c", "d"] {
        ports.insert(provider.claim(&one, wish(target)).await.unwrap().name);
    }
    assert_eq!(
        ports,
        (44000..44004).map(|port| format!("port:{port}")).collect()
    );
    let none = provider.claim(&one, wish("e")).await.unwrap_err();
    assert_eq!(
        (none.code(), code(&none)),
        (Code::ResourceExhausted, "no-port-left")
    );
    provider.release(&one, "port:44002").await.unwrap();
    assert_eq!(
        provider.claim(&one, wish("e")).await.unwrap().name,
        "port:44002"
    );
}

#[tokio::test]
async fn reserved_foreign_and_unserved_names_are_refused() {
    let provider = Provider::start().await;
    let (owner, admin) = (
        provider.account("owner", false).await,
        provider.account("admin", true).await,
    );
    let cases = [
        (http("edge"), Code::PermissionDenied, "name-reserved"),
        (http("*.t.example"), Code::PermissionDenied, "name-reserved"),
        (
            http("shop.elsewhere.org"),
            Code::PermissionDenied,
            "name-outside-zone",
        ),
        (http("no_label"), Code::InvalidArgument, "invalid"),
        (
            v1::ClaimRequest::default(),
            Code::InvalidArgument,
            "invalid",
        ),
        (
            v1::ClaimRequest {
                kind: v1::Kind::Udp.into(),
                ..http("a")
            },
            Code::InvalidArgument,
            "invalid",
        ),
        (
            remembered(v1::Kind::Http, &"m".repeat(5000), "t"),
            Code::InvalidArgument,
            "invalid",
        ),
    ];
    for (wish, grpc, reason) in cases {
        let refused = provider.claim(&owner, wish.clone()).await.unwrap_err();
        assert_eq!((refused.code(), code(&refused)), (grpc, reason), "{wish:?}");
    }
    provider
        .claim(&admin, http("shop.elsewhere.org"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_list_holds_ones_own_endpoints_only() {
    let provider = Provider::start().await;
    let (one, two) = (
        provider.account("one", false).await,
        provider.account("two", false).await,
    );
    provider.claim(&one, http("a")).await.unwrap();
    provider.claim(&two, http("b")).await.unwrap();
    let request = one.sign(v1::ListEndpointsRequest::default());
    let listed = EndpointsClient::new(provider.channel.clone())
        .list(request)
        .await
        .unwrap()
        .into_inner();
    let names: Vec<_> = listed
        .endpoints
        .iter()
        .map(|endpoint| endpoint.name.as_str())
        .collect();
    assert_eq!(names, ["a.t.example"]);
    assert!(
        listed
            .endpoints
            .iter()
            .all(|endpoint| endpoint.account == one.id.as_str())
    );
}

#[tokio::test]
async fn claims_made_at_once_do_not_overshoot_what_an_account_may_have() {
    let provider = Provider::start().await;
    let owner = provider.account("busy", false).await;
    provider.claim(&owner, http("first")).await.unwrap();
    // As if it had 997 more.
    let count = store::layout::endpoint_count(&owner.id);
    let nearly_all = store::Value::json(&998_usize).unwrap();
    let _ = provider
        .store
        .commit(store::Transaction::new().put(count.clone(), nearly_all))
        .await
        .unwrap();
    let claims = (0..8).map(|n| {
        let (provider, owner) = (&provider, &owner);
        async move { provider.claim(owner, http(&format!("more{n}"))).await }
    });
    let claims = futures_util::future::join_all(claims).await;
    let (claimed, refused): (Vec<_>, Vec<_>) = claims.into_iter().partition(Result::is_ok);
    assert_eq!(claimed.len(), 2);
    for refusal in refused {
        assert_eq!(code(&refusal.unwrap_err()), "too-many");
    }
    // What is given back is free again.
    let name = &claimed[0].as_ref().unwrap().name;
    provider.release(&owner, name).await.unwrap();
    provider.claim(&owner, http("again")).await.unwrap();
    let counted: Option<(usize, _)> = store::get(&*provider.store, &count).await.unwrap();
    assert_eq!(counted.map(|(count, _)| count), Some(1000));
}
