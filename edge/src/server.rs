//! Wires the edge: binds every socket first, then serves, and stops in the reverse order.

mod leave;
mod staleness;

use std::{
    io,
    net::SocketAddr,
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, SystemTime},
};

use model::{EdgeFact, Revision};
use prometheus_client::registry::Registry;
use store::{
    Replica, SharedStore, layout,
    schema::{self, SchemaError},
};
use token::Expect;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tunnel::congestion::{self, CongestionError};

use self::staleness::Staleness;
use crate::{
    CertificateError, CertificateSource, Config, SnapshotConfig, UsageSink, VisitLog,
    certificate::Certificates,
    connection::Carrier,
    flows::Flows,
    http,
    listen::{
        Balancers, Door, Front, OpenPorts, Stages, Strangers, ports,
        quic::{self, OwnCertificates, QuicError},
        sockets,
    },
    metrics::Metrics,
    place::Placer,
    route::{Follow, Router},
    session::{Desk, Sessions, Singles, Urls},
    snapshot,
    usage::Reporter,
};

/// For the store to say its schema version at the start.
const SCHEMA_WITHIN: Duration = Duration::from_secs(2);

/// What an edge is given by whoever runs it.
#[derive(Debug)]
pub struct Parts {
    pub store: SharedStore,
    pub certificates: Arc<dyn CertificateSource>,
    pub access: Arc<dyn VisitLog>,
    pub usage: Arc<dyn UsageSink>,
}

/// Where the edge is bound.
#[derive(Clone, Debug)]
pub struct Addresses {
    pub tls: Vec<SocketAddr>,
    pub quic: Vec<SocketAddr>,
    pub http: Vec<SocketAddr>,
}

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("an edge needs a name of its own and an address for TLS")]
    Incomplete,
    #[error("the edge cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    #[error("the edge's own name: {0}")]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Schema(SchemaError),
    #[error(transparent)]
    Congestion(#[from] CongestionError),
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// An edge whose sockets are bound, and which serves nobody yet.
#[derive(Debug)]
pub struct Edge {
    addresses: Addresses,
    listeners: Vec<(TcpListener, Door)>,
    endpoints: Vec<quinn::Endpoint>,
    own: Arc<OwnCertificates>,
    front: Arc<Front>,
    placer: Placer,
    reporter: Reporter,
    ports: RangeInclusive<u16>,
    hosts: Vec<std::net::IpAddr>,
    drain: Duration,
    snapshot: Option<SnapshotConfig>,
    _stop_replica: DropGuard,
}

/// Whether the edge should be sent visitors: it has heard of the world at least once, and is not about to stop.
#[derive(Clone, Debug)]
pub struct Readiness {
    facts: Arc<Replica<Follow>>,
    sessions: Arc<Sessions>,
    draining: CancellationToken,
}

/// Why an edge should not be sent visitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// It knows no facts yet.
    NeverSynced,
    /// It is about to stop.
    Draining,
}

/// How an edge stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub synced: bool,
    pub draining: bool,
    /// Up to which revision it knows the facts.
    pub revision: Revision,
    /// How long the store has not answered.
    pub store_lost: Option<Duration>,
    pub sessions: usize,
}

impl NotReady {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverSynced => "never-synced",
            Self::Draining => "draining",
        }
    }
}

impl Readiness {
    pub fn is_ready(&self) -> bool {
        self.reason().is_none()
    }

    /// A store that is lost later is no reason: every edge would lose it at the same time.
    pub fn reason(&self) -> Option<NotReady> {
        if self.draining.is_cancelled() {
            Some(NotReady::Draining)
        } else if self.facts.is_synced() {
            None
        } else {
            Some(NotReady::NeverSynced)
        }
    }

    pub fn standing(&self) -> Standing {
        Standing {
            synced: self.facts.is_synced(),
            draining: self.draining.is_cancelled(),
            revision: self.facts.revision(),
            store_lost: self.facts.lost_since().map(|since| since.elapsed()),
            sessions: self.sessions.count(),
        }
    }

    /// Waits for the first word from the store.
    pub async fn synced(&self) -> bool {
        self.facts.synced().await
    }
}

impl Edge {
    pub async fn bind(
        config: Config,
        parts: Parts,
        registry: &mut Registry,
    ) -> Result<Self, BindError> {
        congestion::check(config.congestion)?;
        let first = config.names.first().ok_or(BindError::Incomplete)?.clone();
        must_know_schema(&parts.store).await?;
        let own = OwnCertificates::load(config.names.clone(), parts.certificates.clone()).await?;
        let (addresses, listeners, endpoints) = bind_sockets(&config, &own)?;
        let tls_port = addresses.tls.first().ok_or(BindError::Incomplete)?.port();
        let urls = Urls {
            https_port: config.public.https_port.unwrap_or(tls_port),
            host: first.to_string(),
        };
        let fact = edge_fact(&config, &urls);
        let registry = registry.sub_registry_with_prefix("edge");
        let metrics = Metrics::register(registry);
        let sessions = Arc::new(Sessions::new(config.limits.sessions, metrics.clone()));
        let stop_replica = CancellationToken::new();
        let follow = Follow::new(sessions.clone(), config.snapshot.is_some());
        let mut snapshot = config.snapshot.clone();
        let found = snapshot.as_mut().and_then(|config| config.found.take());
        let facts = Replica::start_from(
            parts.store.clone(),
            layout::public(),
            follow,
            found.map(|found| found.seed(SystemTime::now().into())),
            stop_replica.clone(),
        );
        registry.register_collector(Box::new(Staleness::new(facts.clone())));
        let placer = Placer::new(parts.store.clone(), sessions.clone(), fact, metrics.clone());
        let reporter = Reporter::new(
            sessions.usage().clone(),
            parts.usage.clone(),
            config.id.clone(),
            metrics.clone(),
        );
        let http_metrics = http::HttpMetrics::register(registry, metrics.clone());
        let (ports, hosts, drain) = (
            config.tcp_ports.clone(),
            config.tcp_hosts.clone(),
            config.limits.drain,
        );
        let desk = desk(
            &config,
            urls,
            facts.clone(),
            sessions.clone(),
            metrics.clone(),
        );
        let front = front(&config, parts, desk, metrics, http_metrics)?;
        Ok(Self {
            addresses,
            listeners,
            endpoints,
            own,
            front,
            placer,
            reporter,
            ports,
            hosts,
            drain,
            snapshot,
            _stop_replica: stop_replica.drop_guard(),
        })
    }

    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    pub fn readiness(&self) -> Readiness {
        Readiness {
            facts: self.front.desk.facts.clone(),
            sessions: self.front.desk.sessions.clone(),
            draining: self.front.desk.draining.clone(),
        }
    }

    /// Serves until `stop` is cancelled, then lets go of agents and visitors, and returns when all are gone or their time
    /// is over.
    pub async fn run(self, stop: CancellationToken) {
        let Self {
            listeners,
            endpoints,
            own,
            front,
            placer,
            reporter,
            ports,
            hosts,
            drain,
            snapshot,
            ..
        } = self;
        let (work, placed) = (TaskTracker::new(), CancellationToken::new());
        for (listener, door) in listeners {
            work.spawn(
                front
                    .clone()
                    .accept(listener, door, CancellationToken::new()),
            );
        }
        for endpoint in &endpoints {
            work.spawn(quic::accept(front.clone(), endpoint.clone()));
        }
        work.spawn(ports::follow(front.clone(), ports, hosts));
        let renewing = front.stages.leaving.clone();
        work.spawn(async move { renewing.run_until_cancelled(own.keep_fresh()).await });
        let (keeping, kept) = (TaskTracker::new(), CancellationToken::new());
        if let Some(config) = snapshot {
            let (facts, metrics) = (front.desk.facts.clone(), front.metrics.clone());
            keeping.spawn(snapshot::keep(config, facts, metrics, kept.clone()));
        }
        let _kept = kept.clone().drop_guard();
        let placing = TaskTracker::new();
        placing.spawn(placer.run(front.desk.draining.clone(), placed.clone()));
        // Stops behind the last visit, so that it is reported.
        placing.spawn(reporter.run(placed.clone()));
        // Cancelled also when this future is dropped, so that no task outlives it.
        let _cut = front.stages.cut.clone().drop_guard();
        let _leaving = front.stages.leaving.clone().drop_guard();
        let _placed = placed.clone().drop_guard();

        stop.cancelled().await;
        kept.cancel();
        leave::leave(&front, drain).await;
        keeping.close();
        keeping.wait().await;
        placed.cancel();
        placing.close();
        placing.wait().await;
        leave::close(&endpoints).await;
        work.close();
        work.wait().await;
    }
}

/// Refuses a store whose facts may mean something else by now. One that does not answer is none the worse for it: an edge
/// starts during an outage.
async fn must_know_schema(store: &SharedStore) -> Result<(), BindError> {
    match tokio::time::timeout(SCHEMA_WITHIN, schema::check(&**store)).await {
        Ok(Err(error @ SchemaError::Newer { .. })) => Err(BindError::Schema(error)),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the schema version of the store is not known");
            Ok(())
        }
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}

type Sockets = (Addresses, Vec<(TcpListener, Door)>, Vec<quinn::Endpoint>);

fn bind_sockets(config: &Config, own: &Arc<OwnCertificates>) -> Result<Sockets, BindError> {
    let mut addresses = Addresses {
        tls: Vec::new(),
        quic: Vec::new(),
        http: Vec::new(),
    };
    let (mut listeners, mut endpoints) = (Vec::new(), Vec::new());
    let mut udp = Vec::new();
    for address in &config.tls {
        let failed = |error| BindError::Listen(*address, error);
        let listener = if config.quic.is_none() {
            let (listener, socket) = sockets::tcp_and_udp(*address).map_err(failed)?;
            udp.push((*address, socket));
            listener
        } else {
            sockets::tcp(*address).map_err(failed)?
        };
        addresses.tls.push(listener.local_addr().map_err(failed)?);
        listeners.push((listener, Door::Tls));
    }
    for address in config.quic.iter().flatten() {
        let socket = sockets::udp(*address).map_err(|error| BindError::Listen(*address, error))?;
        udp.push((*address, socket));
    }
    for (address, socket) in udp {
        let failed = |error| BindError::Listen(address, error);
        addresses.quic.push(socket.local_addr().map_err(failed)?);
        endpoints.push(
            quic::endpoint(
                socket,
                own.clone(),
                config.reset_key.as_ref(),
                config.congestion,
            )
            .map_err(|error| match error {
                QuicError::Socket(error) => failed(error),
                QuicError::Tls(error) => error.into(),
            })?,
        );
    }
    for address in &config.http {
        let failed = |error| BindError::Listen(*address, error);
        let listener = sockets::tcp(*address).map_err(failed)?;
        addresses.http.push(listener.local_addr().map_err(failed)?);
        listeners.push((listener, Door::Plain));
    }
    Ok((addresses, listeners, endpoints))
}

fn edge_fact(config: &Config, urls: &Urls) -> EdgeFact {
    let url = config
        .public
        .url
        .clone()
        .unwrap_or_else(|| match urls.https_port {
            443 => format!("https://{}", urls.host),
            port => format!("https://{}:{port}", urls.host),
        });
    EdgeFact {
        id: config.id.clone(),
        region: config.region.clone(),
        url,
        draining: false,
        started: SystemTime::now().into(),
    }
}

fn desk(
    config: &Config,
    urls: Urls,
    facts: Arc<Replica<Follow>>,
    sessions: Arc<Sessions>,
    metrics: Metrics,
) -> Arc<Desk> {
    Arc::new(Desk {
        edge: config.id.clone(),
        names: config.names.clone(),
        region: config.region.clone(),
        ports: config.tcp_ports.clone(),
        open_ports: Arc::new(OpenPorts::new(config.tcp_hosts.len())),
        expect: Expect {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
        },
        urls,
        facts,
        sessions,
        metrics,
        draining: CancellationToken::new(),
    })
}

fn front(
    config: &Config,
    parts: Parts,
    desk: Arc<Desk>,
    metrics: Metrics,
    http_metrics: http::HttpMetrics,
) -> Result<Arc<Front>, rustls::Error> {
    let limits = &config.limits;
    let (facts, sessions) = (desk.facts.clone(), desk.sessions.clone());
    let router = Arc::new(Router::new(config, facts, sessions, metrics.clone()));
    let strangers = Strangers::new(
        limits.strangers,
        limits.strangers_per_address,
        metrics.clone(),
    );
    let http = http::Shared {
        routes: router.clone(),
        access: parts.access.clone(),
        metrics: http_metrics,
        limits: limits.http,
    };
    let stages = Stages::default();
    let (tasks, cut) = (stages.sessions.clone(), stages.cut.clone());
    Ok(Arc::new(Front {
        router,
        singles: Arc::new(Singles::new(desk.clone(), tasks, cut)),
        desk,
        certificates: Certificates::new(parts.certificates, metrics.clone())?,
        carrier: Carrier::new(parts.access, metrics.clone()),
        http: Arc::new(http),
        plain_http: config.plain_http,
        congestion: config.congestion,
        balancers: Balancers::new(config.proxy_protocol_from.clone()),
        visitors: Arc::new(Semaphore::new(limits.visitors)),
        flows: Flows::new(limits.flows, metrics.clone()),
        strangers: Arc::new(strangers),
        metrics,
        stages,
    }))
}
