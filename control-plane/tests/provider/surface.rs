//! What stands beside the calls: discovery, keys over HTTP, health, reflection.

use proto::v1::{
    self, endpoints_client::EndpointsClient, keys_client::KeysClient,
    provider_client::ProviderClient,
};
use serde_json::Value;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::harness::Provider;

#[tokio::test]
async fn anyone_may_discover() {
    let provider = Provider::start().await;
    let request = v1::DiscoverRequest {};
    let found = ProviderClient::new(provider.channel.clone())
        .discover(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (found.issuer, found.zone),
        (format!("http://{}", provider.addr), "t.example".to_owned())
    );
    assert_eq!(found.own_ports, [4470]);
    let (status, body) = provider.get("/.well-known/adit").await;
    let page: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, page["zone"].as_str()), (200, Some("t.example")));
}

#[tokio::test]
async fn the_key_set_over_http_is_the_one_in_the_store() {
    let provider = Provider::start().await;
    let admin = provider.account("admin", true).await;
    let mut keys = KeysClient::new(provider.channel.clone());
    let rotated = keys
        .rotate(admin.sign(v1::RotateRequest {}))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(rotated.keys.len(), 2);
    let (status, body) = provider.get("/.well-known/jwks.json").await;
    let set: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    let served: Vec<_> = set["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["kid"].as_str().unwrap())
        .collect();
    let (kept, _) = store::list::<Value>(&*provider.store, &store::layout::jwks())
        .await
        .unwrap();
    let kept: Vec<_> = kept
        .iter()
        .map(|(_, key)| key["kid"].as_str().unwrap())
        .collect();
    assert_eq!(served, kept);
    assert!(!body.contains("\"d\""), "no private half");
}

#[tokio::test]
async fn only_administrators_rotate() {
    let provider = Provider::start().await;
    let owner = provider.account("owner", false).await;
    let mut keys = KeysClient::new(provider.channel.clone());
    let refused = keys
        .rotate(owner.sign(v1::RotateRequest {}))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn health_and_reflection_answer() {
    let provider = Provider::start().await;
    let check = HealthCheckRequest {
        service: String::new(),
    };
    let health = HealthClient::new(provider.channel.clone())
        .check(check)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(health.status(), ServingStatus::Serving);

    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(provider.channel.clone());
    let mut answers = client
        .server_reflection_info(tokio_stream::once(question))
        .await
        .unwrap()
        .into_inner();
    let answer = answers
        .next()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else {
        panic!("{answer:?}")
    };
    let names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    for service in [
        "Provider",
        "Endpoints",
        "Tokens",
        "Edges",
        "Keys",
        "Accounts",
    ] {
        assert!(
            names.contains(&format!("adit.v1.{service}")),
            "{service} of {names:?}"
        );
    }
}

#[tokio::test]
async fn probes_answer_and_unknown_pages_are_not_found() {
    let provider = Provider::start().await;
    assert_eq!(provider.get("/live").await.0, 200);
    assert_eq!(provider.get("/ready").await.0, 200);
    assert_eq!(provider.get("/no-such-page").await.0, 404);
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_and_the_process_lives() {
    let provider = Provider::start().await;
    let one = provider.account("one", false).await;
    let wish = v1::ClaimRequest {
        machine: "m".repeat(1024 * 1024),
        ..v1::ClaimRequest::default()
    };
    let refused = EndpointsClient::new(provider.channel.clone())
        .claim(one.sign(wish))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    let mut endpoints = EndpointsClient::new(provider.channel.clone());
    endpoints
        .list(one.sign(v1::ListEndpointsRequest::default()))
        .await
        .unwrap();
}
