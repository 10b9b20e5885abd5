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
use model::{Congestion, Hostname};
use prometheus_client::registry::Registry;
use store::{Envelope, SharedStore};

use super::{account, listen::Listening, ports::Chosen, trust};
use crate::{
    cli::DevArgs,
    failure::{Exit, Failure, OrFail},
    observe::{self, Admin, Tunnels},
    output, places,
    provider::{Running, access_log, dev_ca::FromDevCa, listening, storage},
    usage::LocalUsage,
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
pub(super) struct Started {
    about: output::Provider,
    tunnels: Tunnels,
    running: Running,
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

impl Started {
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
        let control = control.await.map_err(listening::control_plane)?;
        let core = control.core();
        account::ensure(&core, &base.ca, data_dir).await?;
        let (log, writer) = access_log::open(&data_dir.join("access.log"))?;
        let config = base.edge_config(args, core.issuer(), core.audience())?;
        let certificates = Arc::new(FromDevCa::new(base.ca.clone()));
        let parts = Parts {
            store: base.store.clone(),
            certificates,
            access: Arc::new(log),
            usage: Arc::new(LocalUsage::new(core.clone())),
        };
        let edge = Edge::bind(config, parts, &mut registry)
            .await
            .map_err(listening::edge)?;
        let listeners = observe::listen(&base.listening.admin.addrs).await;
        let listeners =
            listeners.map_err(|(addr, error)| listening::refused(addr, "--admin-addr", &error))?;
        let about = base.about(args, data_dir, core.issuer());

        let admin = Admin {
            registry: Arc::new(registry),
            ready: Arc::new(edge.readiness()),
        };
        let mut running = Running::default();
        running.admin(listeners, &admin);
        running.control_plane(control);
        running.edge(edge, writer);
        Ok(Self {
            about,
            tunnels,
            running,
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

    pub(super) async fn stop(self) {
        self.running.stop().await;
    }
}

impl Base {
    async fn prepare(
        args: &DevArgs,
        data_dir: &Path,
        registry: &mut Registry,
    ) -> Result<Self, Failure> {
        let listening = Listening::choose(args)?;
        let envelope = storage::envelope(&data_dir.join(places::STORE_KEY))?;
        let store = storage::open_embedded(data_dir, registry).await?;
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
            reset_key: storage::load_reset_key(&data_dir.join("quic.key"))?,
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
            forward: Vec::new(),
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
                to: vec![to.to_string()],
            }),
            tls: self.listening.edge.addrs.clone(),
            quic: None,
            http: self.listening.http.addrs.clone(),
            plain_http: PlainHttp::Serve,
            tcp_ports: args.tcp_ports.clone(),
            tcp_hosts: self.tcp_hosts(),
            proxy_protocol_from: Vec::new(),
            public: PublicAddress::default(),
            issuer: issuer.to_owned(),
            audience,
            reset_key: Some(self.reset_key.clone()),
            snapshot: None,
            congestion: Congestion::System,
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

fn texts(chosen: &Chosen) -> Vec<String> {
    chosen.addrs.iter().map(ToString::to_string).collect()
}
