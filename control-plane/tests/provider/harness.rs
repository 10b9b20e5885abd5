//! A provider of its own for each test.

use std::{net::SocketAddr, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use control_plane::{Config, ControlPlane, Core};
use model::{AccountId, Role, UnixTime};
use prometheus_client::registry::Registry;
use proto::v1::{self, endpoints_client::EndpointsClient};
use store::{Embedded, Envelope, KeyEncryptionKey, SharedStore};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Status, transport::Channel};

pub(crate) struct Provider {
    pub(crate) core: Arc<Core>,
    pub(crate) store: SharedStore,
    pub(crate) addr: SocketAddr,
    pub(crate) channel: Channel,
    _stop_on_drop: DropGuard,
}

/// An account with the text of one of its API keys.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) key: String,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        Self::over(Arc::new(Embedded::in_memory().unwrap()), None).await
    }

    /// Over a store that may have something in it.
    pub(crate) async fn over(store: SharedStore, issuer: Option<String>) -> Self {
        let mut registry = Registry::default();
        let config = Config { issuer, ..config() };
        let envelope = Arc::new(envelope());
        let plane = ControlPlane::bind(config, store.clone(), envelope, &mut registry)
            .await
            .unwrap();
        let (core, addr) = (plane.core(), plane.addresses()[0]);
        let stop = CancellationToken::new();
        tokio::spawn(plane.run(stop.clone()));
        let channel = Channel::from_shared(format!("http://{addr}"))
            .unwrap()
            .connect_lazy();
        Self {
            core,
            store,
            addr,
            channel,
            _stop_on_drop: stop.drop_guard(),
        }
    }

    pub(crate) async fn account(&self, name: &str, admin: bool) -> Account {
        let id = self.core.create_account(name, now()).await.unwrap();
        let role = if admin { Role::Admin } else { Role::Member };
        self.key_of(id, role).await
    }

    /// One more key of an account.
    pub(crate) async fn key_of(&self, id: AccountId, role: Role) -> Account {
        let key = self
            .core
            .create_api_key(&id, "test", role, now())
            .await
            .unwrap();
        Account {
            id,
            key: key.secret.to_string(),
        }
    }

    pub(crate) async fn claim(
        &self,
        who: &Account,
        wish: v1::ClaimRequest,
    ) -> Result<v1::Endpoint, Status> {
        let answer = EndpointsClient::new(self.channel.clone())
            .claim(who.sign(wish))
            .await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn release(&self, who: &Account, name: &str) -> Result<(), Status> {
        let request = who.sign(v1::ReleaseRequest { name: name.into() });
        EndpointsClient::new(self.channel.clone())
            .release(request)
            .await?;
        Ok(())
    }

    /// Status and body of a plain HTTP/1.1 request.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.addr
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            body.to_owned(),
        )
    }
}

impl Account {
    pub(crate) fn sign<T>(&self, message: T) -> Request<T> {
        with_key(&self.key, message)
    }
}

pub(crate) fn with_key<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

pub(crate) fn http(host: &str) -> v1::ClaimRequest {
    v1::ClaimRequest {
        kind: v1::Kind::Http.into(),
        host: host.into(),
        ..v1::ClaimRequest::default()
    }
}

/// A random name or port for a machine's target.
pub(crate) fn remembered(kind: v1::Kind, machine: &str, target: &str) -> v1::ClaimRequest {
    let (machine, target) = (machine.into(), target.into());
    v1::ClaimRequest {
        kind: kind.into(),
        machine,
        target,
        ..v1::ClaimRequest::default()
    }
}

/// The stable code of a refusal.
pub(crate) fn code(status: &Status) -> &str {
    status
        .metadata()
        .get(proto::ERROR_METADATA)
        .map_or("", |value| value.to_str().unwrap())
}

pub(crate) fn now() -> UnixTime {
    std::time::SystemTime::now().into()
}

pub(crate) fn envelope() -> Envelope {
    let kek = KeyEncryptionKey::from_env(&STANDARD.encode([7; 32])).unwrap();
    Envelope::new(kek, Vec::new())
}

pub(crate) fn config() -> Config {
    Config {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        issuer: None,
        zone: "t.example".parse().unwrap(),
        reserved: vec!["edge.t.example".parse().unwrap()],
        forward: Vec::new(),
        tcp_ports: 44000..=44003,
        own_ports: vec![4470],
        clear_http_port: None,
        token_ttl: Config::TOKEN_TTL,
        session_ttl: Config::SESSION_TTL,
    }
}
