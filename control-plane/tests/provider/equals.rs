//! Several control planes over one store, and the edges that join them.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use control_plane::ControlPlane;
use model::Role;
use prometheus_client::registry::Registry;
use proto::v1::{JoinRequest, edges_client::EdgesClient};
use store::{Embedded, Envelope, KeyEncryptionKey, SharedStore, layout};
use tokio::task::JoinSet;
use tonic::Code;

use crate::harness::{Provider, config, now};

const AT_ONCE: usize = 8;

async fn bind(store: SharedStore) -> ControlPlane {
    let kek = KeyEncryptionKey::from_env(&STANDARD.encode([7; 32])).unwrap();
    let envelope = Arc::new(Envelope::new(kek, Vec::new()));
    let mut registry = Registry::default();
    let bound = ControlPlane::bind(config(), store, envelope, &mut registry);
    bound.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn they_begin_with_one_key_and_one_administrator() {
    let store: SharedStore = Arc::new(Embedded::in_memory().unwrap());
    let mut starting = JoinSet::new();
    for _ in 0..AT_ONCE {
        let store = store.clone();
        starting.spawn(async move {
            let core = bind(store).await.core();
            let prepared = core.prepare_administrator("first", now()).unwrap();
            core.make_administrator(prepared).await.unwrap()
        });
    }
    let made = starting.join_all().await;
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
    let (keys, _) = store::entries(&*store, &layout::jwks()).await.unwrap();
    assert_eq!(keys.len(), 1, "each start has published a key of its own");
    let (keys, _) = store::entries(&*store, &layout::api_keys()).await.unwrap();
    assert_eq!(keys.len(), 1);
}

#[tokio::test]
async fn an_edge_is_told_what_it_serves_for_and_nobody_else_is() {
    let provider = Provider::start().await;
    let account = provider.account("operator", false).await;
    let edge = provider.key_of(account.id.clone(), Role::Edge).await;
    let join = async |key: &str, name: &str| {
        let mut request = tonic::Request::new(JoinRequest {
            id: "ams1".into(),
            region: "eu".into(),
            url: format!("https://{name}"),
            names: vec![name.into()],
        });
        let bearer = format!("Bearer {key}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        let answer = EdgesClient::new(provider.channel.clone())
            .join(request)
            .await;
        answer.map(tonic::Response::into_inner)
    };
    let told = join(&edge.key, "edge.t.example").await.unwrap();
    assert_eq!(told.issuer, provider.core.issuer());
    assert_eq!(told.audience, provider.core.audience());
    assert_eq!(told.zone, "t.example");
    assert_eq!(told.forward, [provider.addr.to_string()]);
    assert!(told.first_tcp_port > 0 && told.first_tcp_port <= told.last_tcp_port);
    join(&edge.key, "ams1.edges.example").await.unwrap();

    let refused = join(&account.key, "edge.t.example").await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let claimable = join(&edge.key, "shop.t.example").await.unwrap_err();
    assert_eq!(claimable.code(), Code::PermissionDenied);
    assert!(claimable.message().contains("reserved"), "{claimable}");
}
