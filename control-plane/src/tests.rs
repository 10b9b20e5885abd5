//! The control plane over real sockets, called with the generated client.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use model::{Kind, Role, UnixTime};
use prometheus_client::registry::Registry;
use proto::v1::{self, endpoints_client::EndpointsClient, tokens_client::TokensClient};
use store::{Embedded, Envelope, KeyEncryptionKey, SharedStore, layout};
use token::{Expect, OVERLAP, SIGNING_PERIOD};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Request, Status, transport::Channel};

use super::*;

struct Provider {
    core: Arc<Core>,
    store: SharedStore,
    url: String,
    channel: Channel,
    admin: String,
    owner: String,
    _stop: DropGuard,
}

async fn start() -> Provider {
    let store: SharedStore = Arc::new(Embedded::in_memory().unwrap());
    let kek = KeyEncryptionKey::from_env("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
    let config = Config {
        listen: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        issuer: None,
        zone: "t.example".parse().unwrap(),
        reserved: vec!["edge.t.example".parse().unwrap()],
        forward: Vec::new(),
        tcp_ports: 44000..=44009,
        own_ports: vec![4443],
        clear_http_port: None,
        token_ttl: Config::TOKEN_TTL,
        session_ttl: Config::SESSION_TTL,
    };
    let envelope = Arc::new(Envelope::new(kek, Vec::new()));
    let plane = ControlPlane::bind(config, store.clone(), envelope, &mut Registry::default())
        .await
        .unwrap();
    let (core, url) = (plane.core(), format!("http://{}", plane.addresses()[0]));
    let stop = CancellationToken::new();
    tokio::spawn(plane.run(stop.clone()));
    let now = UnixTime::from(std::time::SystemTime::now());
    let mut keys = Vec::new();
    for role in [Role::Admin, Role::Member] {
        let account = core.create_account("someone", now).await.unwrap();
        keys.push(
            core.create_api_key(&account, "key", role, now)
                .await
                .unwrap()
                .secret
                .to_string(),
        );
    }
    let channel = Channel::from_shared(url.clone()).unwrap().connect_lazy();
    let (owner, admin) = (keys.pop().unwrap(), keys.pop().unwrap());
    Provider {
        core,
        store,
        url,
        channel,
        admin,
        owner,
        _stop: stop.drop_guard(),
    }
}

fn with_key<T>(message: T, key: &str) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

fn reason(status: &Status) -> (Code, &str) {
    let reason = status
        .metadata()
        .get(proto::ERROR_METADATA)
        .map_or("", |value| value.to_str().unwrap());
    (status.code(), reason)
}

impl Provider {
    async fn claim(&self, key: &str, host: &str, kind: v1::Kind) -> Result<v1::Endpoint, Status> {
        let wish = v1::ClaimRequest {
            host: host.into(),
            kind: kind.into(),
            ..v1::ClaimRequest::default()
        };
        Ok(EndpointsClient::new(self.channel.clone())
            .claim(with_key(wish, key))
            .await?
            .into_inner())
    }

    async fn random(&self, machine: &str, target: &str, kind: v1::Kind) -> v1::Endpoint {
        let wish = v1::ClaimRequest {
            kind: kind.into(),
            machine: machine.into(),
            target: target.into(),
            ..v1::ClaimRequest::default()
        };
        EndpointsClient::new(self.channel.clone())
            .claim(with_key(wish, &self.owner))
            .await
            .unwrap()
            .into_inner()
    }

    async fn release(&self, key: &str, name: &str) -> Result<(), Status> {
        let request = with_key(v1::ReleaseRequest { name: name.into() }, key);
        EndpointsClient::new(self.channel.clone())
            .release(request)
            .await
            .map(|_| ())
    }

    async fn issue(&self, key: &str, claim: &str) -> Result<v1::IssuedToken, Status> {
        let wish = v1::IssueRequest {
            claims: vec![claim.into()],
            ..v1::IssueRequest::default()
        };
        Ok(TokensClient::new(self.channel.clone())
            .issue(with_key(wish, key))
            .await?
            .into_inner())
    }

    fn verify(&self, token: &str, now: UnixTime) -> Result<token::Claims, token::TokenError> {
        let expect = Expect {
            issuer: self.core.issuer().into(),
            audience: self.core.audience(),
        };
        token::verify(token, &self.core.keys.load().public(), &expect, now)
    }
}

fn now() -> UnixTime {
    std::time::SystemTime::now().into()
}

#[tokio::test]
async fn a_name_has_one_owner_and_a_new_claim_each_time() {
    let provider = start().await;
    let first = provider
        .claim(&provider.owner, "shop", v1::Kind::Http)
        .await
        .unwrap();
    assert_eq!(first.name, "shop.t.example");
    let again = provider
        .claim(&provider.owner, "shop.t.example", v1::Kind::Http)
        .await
        .unwrap();
    assert_eq!(again.claim, first.claim);
    let taken = provider
        .claim(&provider.admin, "shop", v1::Kind::Http)
        .await
        .unwrap_err();
    assert_eq!(reason(&taken), (Code::AlreadyExists, "name-taken"));
    let other_kind = provider
        .claim(&provider.owner, "shop", v1::Kind::Tls)
        .await
        .unwrap_err();
    assert_eq!(
        reason(&other_kind),
        (Code::FailedPrecondition, "kind-differs")
    );
    provider
        .release(&provider.owner, "shop.t.example")
        .await
        .unwrap();
    let second = provider
        .claim(&provider.owner, "shop", v1::Kind::Http)
        .await
        .unwrap();
    assert_ne!(second.claim, first.claim);
    let gone = provider
        .release(&provider.owner, "other.t.example")
        .await
        .unwrap_err();
    assert_eq!(reason(&gone), (Code::NotFound, "not-found"));
}

#[tokio::test]
async fn of_two_accounts_that_race_one_wins() {
    let provider = Arc::new(start().await);
    for round in 0..10 {
        let name = format!("prize{round}");
        let (one, other) = tokio::join!(
            provider.claim(&provider.owner, &name, v1::Kind::Http),
            provider.claim(&provider.admin, &name, v1::Kind::Http),
        );
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    }
}

#[tokio::test]
async fn random_names_stay_with_machine_and_target() {
    let provider = start().await;
    let name = provider.random("m1", "3000", v1::Kind::Http).await;
    assert!(
        name.name.ends_with(".t.example") && name.name.contains('-'),
        "{}",
        name.name
    );
    assert_eq!(
        provider.random("m1", "3000", v1::Kind::Http).await.claim,
        name.claim
    );
    assert_ne!(
        provider.random("m2", "3000", v1::Kind::Http).await.name,
        name.name
    );
    assert_ne!(
        provider.random("m1", "3001", v1::Kind::Http).await.name,
        name.name
    );
    // Released and wanted again: the same name under a new claim.
    provider.release(&provider.owner, &name.name).await.unwrap();
    let back = provider.random("m1", "3000", v1::Kind::Http).await;
    assert_eq!(back.name, name.name);
    assert_ne!(back.claim, name.claim);
}

#[tokio::test]
async fn ports_come_from_the_range_until_none_is_left() {
    let provider = start().await;
    let mut ports = std::collections::BTreeSet::new();
    for n in 0..10 {
        let endpoint = provider.random("m", &n.to_string(), v1::Kind::Tcp).await;
        ports.insert(endpoint.name);
    }
    assert_eq!(ports.len(), 10);
    let none = provider
        .claim(&provider.owner, "", v1::Kind::Tcp)
        .await
        .unwrap_err();
    assert_eq!(reason(&none), (Code::ResourceExhausted, "no-port-left"));
}

#[tokio::test]
async fn a_token_is_issued_for_ones_own_claims_only() {
    let provider = start().await;
    let endpoint = provider
        .claim(&provider.owner, "mine", v1::Kind::Http)
        .await
        .unwrap();
    let issued = provider
        .issue(&provider.owner, &endpoint.claim)
        .await
        .unwrap();
    let claims = provider.verify(&issued.token, now()).unwrap();
    assert_eq!(claims.grant.endpoints[0].claim.as_str(), endpoint.claim);
    assert_eq!(claims.grant.endpoints[0].kind, Kind::Http);
    assert!(claims.revision > model::Revision::ZERO);
    let foreign = provider
        .issue(&provider.admin, &endpoint.claim)
        .await
        .unwrap_err();
    assert_eq!(reason(&foreign), (Code::NotFound, "not-found"));

    let mut tokens = TokensClient::new(provider.channel.clone());
    let refresh = v1::RefreshRequest {
        token: issued.token.clone(),
    };
    let renewed = tokens
        .refresh(with_key(refresh.clone(), &provider.owner))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(renewed.grant, issued.grant);
    assert_ne!(renewed.token_id, issued.token_id);
    assert!(
        tokens
            .refresh(with_key(refresh.clone(), &provider.admin))
            .await
            .is_err()
    );
    provider
        .release(&provider.owner, "mine.t.example")
        .await
        .unwrap();
    assert!(
        tokens
            .refresh(with_key(refresh, &provider.owner))
            .await
            .is_err(),
        "released"
    );
    assert!(
        provider
            .issue(&provider.owner, &endpoint.claim)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn revocations_are_written_where_edges_look() {
    use v1::revoke_request::What;
    let provider = start().await;
    let endpoint = provider
        .claim(&provider.owner, "mine", v1::Kind::Http)
        .await
        .unwrap();
    let issued = provider
        .issue(&provider.owner, &endpoint.claim)
        .await
        .unwrap();
    let whats = [
        What::TokenId(issued.token_id.clone()),
        What::Grant(issued.grant.clone()),
        What::Claim(endpoint.claim.clone()),
        What::Account(endpoint.account.clone()),
    ];
    let mut tokens = TokensClient::new(provider.channel.clone());
    for what in whats {
        let request = v1::RevokeRequest { what: Some(what) };
        tokens
            .revoke(with_key(request, &provider.owner))
            .await
            .unwrap();
    }
    let (facts, _) = store::list::<model::RevocationFact>(&*provider.store, &layout::revocations())
        .await
        .unwrap();
    assert_eq!(facts.len(), 4);
    let claims = provider.verify(&issued.token, now()).unwrap();
    for (_, fact) in facts {
        let mut revocations = token::Revocations::default();
        revocations.insert(fact);
        assert!(revocations.check(&claims).is_err());
    }
    let foreign = v1::RevokeRequest {
        what: Some(What::Account("acc_other".into())),
    };
    let refused = tokens
        .revoke(with_key(foreign, &provider.owner))
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), (Code::PermissionDenied, "not-allowed"));
    let far = now().plus(Duration::from_secs(60 * 24 * 3600));
    assert_eq!(provider.core.prune_revocations(far).await.unwrap(), 4);
}

#[tokio::test]
async fn wrong_keys_are_all_refused_alike() {
    let provider = start().await;
    let mut messages = std::collections::BTreeSet::new();
    let unknown = "adit_key_zzzz_AAAA".to_owned();
    let changed = format!("{}x", provider.owner);
    for key in ["", "x", &unknown, &changed] {
        let status = provider.claim(key, "a", v1::Kind::Http).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{key}");
        messages.insert(status.message().to_owned());
    }
    assert_eq!(messages.len(), 1);
    let bare = v1::ListEndpointsRequest::default();
    let status = EndpointsClient::new(provider.channel.clone())
        .list(bare)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);

    // Only an administrator makes accounts; a revoked key is gone at once.
    let mut accounts = v1::accounts_client::AccountsClient::new(provider.channel.clone());
    let create = v1::CreateAccountRequest { name: "new".into() };
    let refused = accounts
        .create(with_key(create.clone(), &provider.owner))
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), (Code::PermissionDenied, "not-allowed"));
    let made = accounts
        .create(with_key(create, &provider.admin))
        .await
        .unwrap()
        .into_inner();
    let key = v1::CreateApiKeyRequest {
        account: made.id,
        name: "k".into(),
        role: v1::Role::Member.into(),
    };
    let key = accounts
        .create_api_key(with_key(key, &provider.admin))
        .await
        .unwrap()
        .into_inner();
    assert!(
        provider
            .claim(&key.secret, "b", v1::Kind::Http)
            .await
            .is_ok()
    );
    accounts
        .revoke_api_key(with_key(
            v1::RevokeApiKeyRequest { id: key.id },
            &key.secret,
        ))
        .await
        .unwrap();
    assert_eq!(
        provider
            .claim(&key.secret, "c", v1::Kind::Http)
            .await
            .unwrap_err()
            .code(),
        Code::Unauthenticated
    );
}

#[tokio::test]
async fn keys_rotate_by_overlap_and_secrets_are_sealed() {
    let provider = start().await;
    let endpoint = provider
        .claim(&provider.owner, "mine", v1::Kind::Http)
        .await
        .unwrap();
    let old = provider
        .issue(&provider.owner, &endpoint.claim)
        .await
        .unwrap();
    let published = now().plus(SIGNING_PERIOD - OVERLAP);
    provider.core.rotate_keys(published).await.unwrap();
    assert_eq!(provider.core.keys.load().records().len(), 2);
    assert!(provider.verify(&old.token, now()).is_ok());
    let first = provider
        .core
        .keys
        .load()
        .signer(published)
        .unwrap()
        .id()
        .clone();
    let later = published.plus(OVERLAP + Duration::from_secs(60));
    assert_ne!(
        *provider.core.keys.load().signer(later).unwrap().id(),
        first
    );
    provider
        .core
        .rotate_keys(later.plus(Duration::from_secs(3600)))
        .await
        .unwrap();
    assert!(provider.core.keys.load().public().get(&first).is_none());

    let (entries, _) = store::entries(&*provider.store, &layout::signing_keys())
        .await
        .unwrap();
    assert!(!entries.is_empty());
    assert!(
        entries
            .iter()
            .all(|entry| !entry.value.windows(5).any(|bytes| bytes == b"pkcs8"))
    );
}

#[tokio::test]
async fn web_health_and_reflection_answer_on_the_same_port() {
    let provider = start().await;
    let health = tonic_health::pb::HealthCheckRequest {
        service: String::new(),
    };
    let mut client = tonic_health::pb::health_client::HealthClient::new(provider.channel.clone());
    assert!(client.check(health).await.is_ok());

    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
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
    let Some(MessageResponse::ListServicesResponse(list)) =
        answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no list of services")
    };
    assert!(
        list.service
            .iter()
            .any(|service| service.name == "adit.v1.Endpoints")
    );

    let keys = http_get(&provider.url, "/.well-known/jwks.json").await;
    let set: serde_json::Value = serde_json::from_str(&keys).unwrap();
    assert_eq!(set["keys"].as_array().unwrap().len(), 1);
    let about: serde_json::Value =
        serde_json::from_str(&http_get(&provider.url, "/.well-known/adit").await).unwrap();
    assert_eq!(about["zone"], "t.example");
}

/// One request in HTTP/1.1, by hand.
async fn http_get(url: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let addr = url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn the_development_ca_survives_a_restart_and_issues_exact_leaves() {
    let store = Embedded::in_memory().unwrap();
    let kek = KeyEncryptionKey::from_env("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
    let envelope = Envelope::new(kek, Vec::new());
    let first = DevCa::load_or_create(&store, &envelope, now())
        .await
        .unwrap();
    let again = DevCa::load_or_create(&store, &envelope, now())
        .await
        .unwrap();
    assert_eq!(first.certificate_pem(), again.certificate_pem());
    let leaf = again
        .issue(&"shop.localhost".parse().unwrap(), now())
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(leaf.chain[1].clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
    let check = |name: &str| {
        use rustls::client::danger::ServerCertVerifier;
        let at = rustls::pki_types::UnixTime::now();
        verifier.verify_server_cert(
            &leaf.chain[0],
            &[],
            &name.to_owned().try_into().unwrap(),
            &[],
            at,
        )
    };
    assert!(check("shop.localhost").is_ok());
    assert!(check("other.localhost").is_err() && check("a.shop.localhost").is_err());
}

#[tokio::test]
async fn accounts_cannot_make_edges_remember_any_number_of_ids() {
    use crate::core::MAX_REVOKED_IDS;
    use model::{Revocation, RevocationFact};
    use store::{Transaction, Value};
    let provider = start().await;
    let ids: Vec<_> = (0..MAX_REVOKED_IDS).collect();
    for part in ids.chunks(store::MAX_OPERATIONS) {
        let transaction = part.iter().fold(Transaction::new(), |transaction, n| {
            let revoked = Revocation::Token(format!("tok_{n}").parse().unwrap());
            let key = layout::revocation(&revoked);
            let until = now().plus(Duration::from_secs(3600));
            let fact = RevocationFact {
                revoked,
                at: now(),
                until,
            };
            transaction.put(key, Value::json(&fact).unwrap())
        });
        let _ = provider.store.commit(transaction).await.unwrap();
    }
    let more = |key: &str| {
        let what = v1::revoke_request::What::TokenId("tok_more".into());
        with_key(v1::RevokeRequest { what: Some(what) }, key)
    };
    let mut tokens = TokensClient::new(provider.channel.clone());
    let refused = tokens.revoke(more(&provider.owner)).await.unwrap_err();
    assert_eq!(reason(&refused), (Code::ResourceExhausted, "too-many"));
    tokens.revoke(more(&provider.admin)).await.unwrap();
}

#[tokio::test]
async fn audit_records_are_forgotten_when_they_are_old_or_too_many() {
    use crate::core::{AUDIT_KEPT, MAX_AUDIT_RECORDS};
    use store::Transaction;
    let provider = start().await;
    let (now, old) = (now(), now().minus(AUDIT_KEPT + Duration::from_secs(60)));
    let records: Vec<_> = (0..MAX_AUDIT_RECORDS as u64 + 1)
        .map(|n| layout::audit_record(if n == 0 { old } else { now }, &n.to_be_bytes()))
        .collect();
    for part in records.chunks(store::MAX_OPERATIONS) {
        let transaction = part
            .iter()
            .fold(Transaction::new(), |all, key| all.put(key, "{}"));
        let _ = provider.store.commit(transaction).await.unwrap();
    }
    // The provider's own housekeeping may have begun with some of them.
    provider.core.prune_audit(now).await.unwrap();
    assert_eq!(provider.core.prune_audit(now).await.unwrap(), 0);
    let (left, _) = store::entries(&*provider.store, &layout::audit())
        .await
        .unwrap();
    assert_eq!(left.len(), MAX_AUDIT_RECORDS);
    assert!(left.iter().all(|entry| entry.key != records[0]));
}

#[tokio::test]
async fn usage_is_forgotten_when_it_is_old() {
    use model::{Usage, UsageEntry, UsageReport};
    let provider = start().await;
    let account = provider.core.first_account().await.unwrap().unwrap();
    let now = UnixTime::from_secs(30_000 * 86_400);
    let day = |ago: u64| now.minus(Duration::from_secs(ago * 86_400));
    for (sequence, ago) in [(1, 400), (2, 399), (3, 0)] {
        let report = UsageReport {
            edge: "ams1".parse().unwrap(),
            run: 1,
            sequence,
            entries: vec![UsageEntry {
                account: account.clone(),
                claim: "clm_1".parse().unwrap(),
                usage: Usage {
                    visits: 1,
                    ..Usage::default()
                },
            }],
        };
        provider.core.report_usage(&report, day(ago)).await.unwrap();
    }
    provider.core.forget_usage(now).await.unwrap();
    let folder = layout::usage_of(&account);
    let (left, _) = store::entries(&*provider.store, &folder).await.unwrap();
    let left = left
        .iter()
        .map(|entry| layout::usage_day_of(&entry.key).unwrap().0);
    assert_eq!(left.collect::<Vec<_>>(), [29_601, 30_000]);
}
