//! Starts the provider's parts in order and stops them in reverse.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use control_plane::{Config as ControlConfig, ControlPlane, DevCa};
use edge::{
    Config as EdgeConfig, Edge, Limits, Parts, PlainHttp, PublicAddress, Reserved, ResetKey,
};
use model::Hostname;
use prometheus_client::registry::Registry;
use store::{Embedded, Envelope, KeyEncryptionKey, SharedStore, StoreError};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    access_log, account, certificates::FromDevCa, listen::Listening, ports::Chosen, trust,
};
use crate::{
    cli::DevArgs,
    failure::{Exit, Failure, OrFail},
    observe::{self, Admin, Metered, Tunnels},
    output, places,
};

/// The edge's name in every zone (docs/decisions/0003).
const EDGE_NAME: &str = "edge.localhost";
const EDGE_ID: &str = "dev";
const REGION: &str = "local";
/// First labels that the provider keeps: its page, and what an edge would be called.
const PAGE_LABEL: &str = "adit";
const EDGE_LABEL: &str = "edge";
/// How long visits may finish when the process is told to stop; a person waits for it.
const DRAIN: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Running {
    about: output::Provider,
    tunnels: Tunnels,
    stop: CancellationToken,
    edge: TaskTracker,
    rest: TaskTracker,
    stop_rest: CancellationToken,
    access_log: access_log::Writer,
}

/// What the parts share.
struct Base {
    store: SharedStore,
    envelope: Arc<Envelope>,
    ca: Arc<DevCa>,
    page: Hostname,
    edge_name: Hostname,
    edge_in_zone: Hostname,
    reset_key: ResetKey,
    listening: Listening,
}

impl Running {
    pub(super) async fn start(args: &DevArgs, data_dir: &Path) -> Result<Self, Failure> {
        let mut registry = observe::registry();
        let tunnels = Tunnels::default();
        tunnels.register(&mut registry);
        let base = Base::prepare(args, data_dir, &mut registry).await?;
        let config = base.control_config(args);
        let control = ControlPlane::bind(
            config,
            base.store.clone(),
            base.envelope.clone(),
            &mut registry,
        );
        let control = control
            .await
            .or_fail(Exit::InUse, "the control plane does not start")?;
        let core = control.core();
        account::ensure(&core, &base.ca, data_dir).await?;
        let (log, access_log) = access_log::open(&data_dir.join("access.log"))?;
        let config = base.edge_config(args, core.issuer(), core.audience())?;
        let certificates = Arc::new(FromDevCa::new(base.ca.clone()));
        let parts = Parts {
            store: base.store.clone(),
            certificates,
            access: Arc::new(log),
        };
        let edge = Edge::bind(config, parts, &mut registry)
            .await
            .or_fail(Exit::InUse, "the edge does not start")?;
        let listeners = observe::listen(&base.listening.admin.addrs)
            .await
            .or_fail(Exit::InUse, "the admin address")?;
        let about = base.about(args, data_dir, core.issuer());

        let (stop, stop_rest) = (CancellationToken::new(), CancellationToken::new());
        let admin = Admin {
            registry: Arc::new(registry),
            ready: Arc::new(edge.readiness()),
        };
        let (edge_tasks, rest) = (TaskTracker::new(), TaskTracker::new());
        for listener in listeners {
            rest.spawn(admin.clone().serve(listener, stop_rest.clone()));
        }
        rest.spawn(control.run(stop_rest.clone()));
        edge_tasks.spawn(edge.run(stop.clone()));
        edge_tasks.close();
        rest.close();
        Ok(Self {
            about,
            tunnels,
            stop,
            edge: edge_tasks,
            rest,
            stop_rest,
            access_log,
        })
    }

    pub(super) fn server(&self) -> &str {
        &self.about.server
    }

    pub(super) const fn about(&self) -> &output::Provider {
        &self.about
    }

    /// Where tunnels are shown beside the provider.
    pub(super) const fn tunnels(&self) -> &Tunnels {
        &self.tunnels
    }

    /// The edge first: its last words go to the store and the log, which are still there.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.edge.wait().await;
        self.stop_rest.cancel();
        self.rest.wait().await;
        self.access_log.finish();
    }
}

impl Base {
    async fn prepare(
        args: &DevArgs,
        data_dir: &Path,
        registry: &mut Registry,
    ) -> Result<Self, Failure> {
        let listening = Listening::choose(args)?;
        let kek = KeyEncryptionKey::load_or_create_file(&data_dir.join("store.key"));
        let envelope = Arc::new(Envelope::new(
            kek.or_fail(Exit::Failed, "the key of the store")?,
            Vec::new(),
        ));
        let embedded = Arc::new(open_store(&data_dir.join("store.redb")).await?);
        observe::embedded(embedded.clone(), registry);
        let store = Metered::register(embedded, registry);
        let ca = DevCa::load_or_create(&*store, &envelope, SystemTime::now().into()).await;
        let ca = Arc::new(ca.or_fail(Exit::Failed, "the development CA")?);
        let ca_path = data_dir.join("ca.pem");
        places::write_public(&ca_path, ca.certificate_pem().as_bytes())?;
        if args.trust {
            let places = trust::install(&ca_path)?;
            tracing::warn!("the development CA is trusted now: {}", places.join(", "));
        }
        let in_zone = |label: &str| {
            format!("{label}.{}", args.zone)
                .parse()
                .or_fail(Exit::Usage, "--zone")
        };
        let edge_name = EDGE_NAME.parse().or_fail(Exit::Failed, EDGE_NAME)?;
        let (page, edge_in_zone) = (in_zone(PAGE_LABEL)?, in_zone(EDGE_LABEL)?);
        Ok(Self {
            store,
            envelope,
            ca,
            page,
            edge_name,
            edge_in_zone,
            reset_key: load_reset_key(&data_dir.join("quic.key"))?,
            listening,
        })
    }

    fn control_config(&self, args: &DevArgs) -> ControlConfig {
        ControlConfig {
            listen: self.listening.control.addrs.clone(),
            issuer: None,
            zone: args.zone.clone(),
            reserved: vec![
                self.page.clone(),
                self.edge_in_zone.clone(),
                self.edge_name.clone(),
            ],
            tcp_ports: args.tcp_ports.clone(),
            own_ports: self.listening.ports(),
            clear_http_port: Some(self.listening.http.port()),
            token_ttl: ControlConfig::TOKEN_TTL,
            session_ttl: ControlConfig::SESSION_TTL,
        }
    }

    fn edge_config(
        &self,
        args: &DevArgs,
        issuer: &str,
        audience: String,
    ) -> Result<EdgeConfig, Failure> {
        let control = self.listening.control.addrs.first().copied();
        let to = control
            .ok_or_else(|| Failure::new(Exit::Failed, "the control plane listens nowhere"))?;
        Ok(EdgeConfig {
            id: EDGE_ID.parse().or_fail(Exit::Failed, EDGE_ID)?,
            region: REGION.parse().or_fail(Exit::Failed, REGION)?,
            names: vec![self.edge_name.clone()],
            reserved: Some(Reserved {
                names: vec![self.page.clone()],
                to,
            }),
            tls: self.listening.edge.addrs.clone(),
            http: self.listening.http.addrs.clone(),
            plain_http: PlainHttp::Serve,
            tcp_ports: args.tcp_ports.clone(),
            tcp_hosts: self.tcp_hosts(),
            public: PublicAddress::default(),
            issuer: issuer.to_owned(),
            audience,
            reset_key: Some(self.reset_key.clone()),
            limits: Limits {
                drain: DRAIN,
                ..Limits::default()
            },
        })
    }

    fn tcp_hosts(&self) -> Vec<IpAddr> {
        self.listening
            .edge
            .addrs
            .iter()
            .map(SocketAddr::ip)
            .collect()
    }

    fn about(&self, args: &DevArgs, data_dir: &Path, server: &str) -> output::Provider {
        let listening = &self.listening;
        output::Provider {
            server: server.to_owned(),
            edge: format!("https://{EDGE_NAME}:{}", listening.edge.port()),
            http: texts(&listening.http),
            https: texts(&listening.edge),
            admin: texts(&listening.admin)
                .first()
                .map(|addr| format!("http://{addr}"))
                .unwrap_or_default(),
            ca: data_dir.join("ca.pem"),
            data_dir: data_dir.to_owned(),
            zone: args.zone.to_string(),
            notes: listening.notes(),
        }
    }
}

async fn open_store(path: &Path) -> Result<Embedded, Failure> {
    Embedded::open(path).await.map_err(|error| {
        let exit = if matches!(error, StoreError::Locked(_)) {
            Exit::InUse
        } else {
            Exit::Failed
        };
        Failure::new(exit, error)
    })
}

/// 32 random bytes, made at the first start.
fn load_reset_key(path: &Path) -> Result<ResetKey, Failure> {
    if !path.exists() {
        places::write_private(path, &rand::random::<[u8; 32]>())?;
    }
    let bytes = std::fs::read(path).or_fail(Exit::Failed, path.display())?;
    let key = bytes
        .try_into()
        .map_err(|_| Failure::new(Exit::Failed, format!("{} is not a key", path.display())));
    key.map(ResetKey::new)
        .map_err(|failure| failure.advise("delete it: a new one is made"))
}

fn texts(chosen: &Chosen) -> Vec<String> {
    chosen.addrs.iter().map(ToString::to_string).collect()
}
