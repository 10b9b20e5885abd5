//! An edge that runs, the world it knows, and ways to visit it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use model::{
    AgentId, Congestion, Endpoint, Grant, GrantedEndpoint, Kind, PlacementFact, Revision,
    Revocation, RevocationFact, Sharing, UnixTime, UsageReport,
};
use prometheus_client::registry::Registry;
use rustls::pki_types::ServerName;
use store::{Commit, Embedded, SharedStore, Store, Transaction, Value, layout};
use token::{Claims, SigningKey};
use tokio::{net::TcpStream, sync::watch, task::JoinHandle, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;
use tunnel::{Secret, message::Hello};

use super::ca::Ca;
use crate::{
    AccessLog, Addresses, Config, Connection, Edge, Limits, Parts, PlainHttp, PublicAddress,
    UsageError, UsageSink, Visit, VisitLog,
};

pub(crate) const EDGE: &str = "edge.localhost";
/// Long enough for a busy machine, short enough to fail.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Keeps no report; the edge's own tests look at what is reported where it is counted.
#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl UsageSink for Nowhere {
    async fn report(&self, _: &UsageReport) -> Result<(), UsageError> {
        Ok(())
    }
}

pub(crate) struct Bed {
    pub(crate) store: SharedStore,
    pub(crate) ca: Arc<Ca>,
    pub(crate) addresses: Addresses,
    pub(crate) log: Arc<Log>,
    pub(crate) port: u16,
    pub(crate) stop: CancellationToken,
    key: SigningKey,
    edge: Option<JoinHandle<()>>,
}

/// What was written down.
#[derive(Debug, Default)]
pub(crate) struct Log {
    connections: Mutex<Vec<Connection>>,
    count: watch::Sender<usize>,
}

impl AccessLog for Log {
    fn visit(&self, _: &Visit) {}
}

impl VisitLog for Log {
    fn connection(&self, connection: &Connection) {
        let mut all = self.connections.lock().unwrap();
        all.push(connection.clone());
        self.count.send_replace(all.len());
    }
}

impl Log {
    /// Waits for the first `n` lines.
    pub(crate) async fn lines(&self, n: usize) -> Vec<Connection> {
        let mut count = self.count.subscribe();
        within(count.wait_for(|count| *count >= n)).await.unwrap();
        self.connections.lock().unwrap().clone()
    }
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("took too long")
}

pub(crate) fn now() -> UnixTime {
    SystemTime::now().into()
}

/// A port that no other bed has, and that the system gives neither to outgoing connections nor to port 0.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(14_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn config(port: u16) -> Config {
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Config {
        id: "edge1".parse().unwrap(),
        region: "local".parse().unwrap(),
        names: vec![EDGE.parse().unwrap()],
        reserved: None,
        tls: vec![here],
        quic: None,
        http: vec![here],
        plain_http: PlainHttp::Serve,
        tcp_ports: port..=port,
        tcp_hosts: vec![here.ip()],
        proxy_protocol_from: Vec::new(),
        public: PublicAddress::default(),
        issuer: "https://p.example".into(),
        audience: "https://p.example/edge".into(),
        reset_key: None,
        snapshot: None,
        congestion: Congestion::System,
        limits: Limits {
            drain: Duration::from_secs(5),
            ..Limits::default()
        },
    }
}

impl Bed {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let store: SharedStore = Arc::new(Embedded::in_memory().unwrap());
        Self::start_over(store, change).await
    }

    pub(crate) async fn start_over(store: SharedStore, change: impl FnOnce(&mut Config)) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (ca, log, port) = (Arc::new(Ca::new()), Arc::new(Log::default()), free_port());
        let key = SigningKey::generate("kid_1".parse().unwrap()).unwrap();
        let jwk = Value::json(key.public()).unwrap();
        put(&*store, Transaction::new().put(layout::jwk(key.id()), jwk)).await;
        let mut config = config(port);
        change(&mut config);
        let parts = Parts {
            store: store.clone(),
            certificates: ca.clone(),
            access: log.clone(),
            usage: Arc::new(Nowhere),
        };
        let edge = Edge::bind(config, parts, &mut Registry::default())
            .await
            .unwrap();
        let addresses = edge.addresses().clone();
        assert!(edge.readiness().synced().await);
        let stop = CancellationToken::new();
        let edge = Some(tokio::spawn(edge.run(stop.clone())));
        Self {
            store,
            ca,
            addresses,
            log,
            port,
            stop,
            key,
            edge,
        }
    }

    pub(crate) fn tls(&self) -> SocketAddr {
        self.addresses.tls[0]
    }

    /// Claims a name; a new claim each time.
    pub(crate) async fn claim(&self, name: &str, kind: Kind, sharing: Sharing) -> Endpoint {
        let endpoint = Endpoint {
            claim: model::ClaimId::from_random(rand::random()),
            account: "acc_1".parse().unwrap(),
            name: name.parse().unwrap(),
            kind,
            sharing,
            regions: Vec::new(),
            created: now(),
        };
        let fact = Value::json(&endpoint).unwrap();
        put(
            &*self.store,
            Transaction::new().put(layout::endpoint(&endpoint.name), fact),
        )
        .await;
        endpoint
    }

    /// The `tcp` endpoint of this edge's one port.
    pub(crate) async fn claim_port(&self) -> Endpoint {
        self.claim(
            &format!("port:{}", self.port),
            Kind::Tcp,
            Sharing::Exclusive,
        )
        .await
    }

    pub(crate) async fn release(&self, endpoint: &Endpoint) {
        put(
            &*self.store,
            Transaction::new().delete(layout::endpoint(&endpoint.name)),
        )
        .await;
    }

    pub(crate) async fn revoke(&self, revoked: Revocation) {
        let fact = RevocationFact {
            revoked: revoked.clone(),
            at: now(),
            until: now().plus(Duration::from_secs(3600)),
        };
        let fact = Value::json(&fact).unwrap();
        put(
            &*self.store,
            Transaction::new().put(layout::revocation(&revoked), fact),
        )
        .await;
    }

    pub(crate) async fn claims(&self, endpoints: &[&Endpoint]) -> Claims {
        let granted = |endpoint: &&Endpoint| GrantedEndpoint {
            claim: endpoint.claim.clone(),
            name: endpoint.name.clone(),
            kind: endpoint.kind,
        };
        let everything = store::entries(&*self.store, &layout::public())
            .await
            .unwrap();
        Claims {
            issuer: "https://p.example".into(),
            audience: "https://p.example/edge".into(),
            subject: "agt_1".parse::<AgentId>().unwrap(),
            account: "acc_1".parse().unwrap(),
            client: "test".into(),
            id: model::TokenId::from_random(rand::random()),
            grant_id: "grt_1".parse().unwrap(),
            grant: Grant {
                endpoints: endpoints.iter().map(granted).collect(),
                ..Grant::default()
            },
            issued: now(),
            not_before: now(),
            expires: now().plus(Duration::from_secs(600)),
            session_expires: now().plus(Duration::from_secs(3600)),
            revision: everything.1,
            confirmation: None,
        }
    }

    pub(crate) fn sign(&self, claims: &Claims) -> Secret {
        self.key.sign(claims).unwrap().expose().to_owned().into()
    }

    pub(crate) async fn hello(&self, endpoints: &[&Endpoint]) -> Hello {
        hello(self.sign(&self.claims(endpoints).await))
    }

    /// Waits until the placements are what `wanted` says.
    pub(crate) async fn placements(
        &self,
        wanted: impl Fn(&[PlacementFact]) -> bool,
    ) -> Vec<PlacementFact> {
        let prefix = layout::placements();
        within(async {
            let mut watch = self.store.watch(&prefix, Revision::ZERO).await.unwrap();
            loop {
                let (all, _) = store::list::<PlacementFact>(&*self.store, &prefix)
                    .await
                    .unwrap();
                let all: Vec<_> = all.into_iter().map(|(_, fact)| fact).collect();
                if wanted(&all) {
                    return all;
                }
                watch.next().await.unwrap();
            }
        })
        .await
    }

    /// A visitor of the `tcp` endpoint, as soon as its port is open.
    pub(crate) async fn visit_port(&self) -> TcpStream {
        within(async {
            loop {
                match TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await {
                    Ok(stream) => return stream,
                    // Nothing tells when a port opens but trying.
                    Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        })
        .await
    }

    pub(crate) async fn visit_tls(
        &self,
        name: &str,
        alpn: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.tls()).await?;
        let connector = TlsConnector::from(Arc::new(self.ca.client(alpn)));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        within(connector.connect(name, stream)).await
    }

    /// Stops the edge and waits for its end.
    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        if let Some(edge) = self.edge.take() {
            within(edge).await.unwrap();
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if let Some(edge) = &self.edge {
            edge.abort();
        }
    }
}

pub(crate) fn hello(token: Secret) -> Hello {
    Hello {
        v: vec![1],
        token,
        agent: "test/1".into(),
        bind: None,
        resume: None,
        proof: None,
        visits: false,
        datagrams: false,
    }
}

pub(crate) async fn put(store: &dyn Store, transaction: Transaction) {
    assert!(matches!(
        store.commit(transaction).await,
        Ok(Commit::Done(_))
    ));
}
