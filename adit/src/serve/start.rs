//! Starts the parts of a provider on one machine in order, and stops them in reverse.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use config::{HttpMode, Serve};
use control_plane::{Config as ControlConfig, ControlPlane, Core, DevCa};
use edge::{CertificateSource, Edge, Joined, Parts};
use model::Hostname;
use prometheus_client::registry::Registry;
use store::{Envelope, SharedStore};
use tokio::sync::Notify;

use super::introduce;
use crate::{
    failure::{Exit, Failure, OrFail},
    observe::{self, Admin},
    output, places,
    provider::{
        Running, access_log, administrator, certificates, dev_ca::FromDevCa, edge_config,
        listening, storage,
    },
    signals,
    usage::LocalUsage,
};

#[derive(Debug)]
pub(super) struct Started {
    about: output::Started,
    running: Running,
}

/// Where certificates come from, and who is to be trusted for that.
struct Trust {
    source: Arc<dyn CertificateSource>,
    /// PEM; none where certificates come from files.
    ca: Option<String>,
    ca_file: Option<PathBuf>,
}

impl Started {
    pub(super) async fn start(settings: &Serve, data_dir: &Path) -> Result<Self, Failure> {
        let mut registry = observe::registry();
        let mut running = Running::default();
        let key = settings.control_plane.key_encryption_key_file.clone();
        let envelope = storage::envelope(&key.unwrap_or_else(|| data_dir.join("store.key")))?;
        let store = storage::open(&settings.common.store, data_dir, &mut registry).await?;
        let trust = Trust::establish(
            settings,
            &store,
            &envelope,
            data_dir,
            &running,
            &mut registry,
        );
        let trust = trust.await?;
        let config = control_config(settings);
        let control = ControlPlane::bind(config, store.clone(), envelope, &mut registry);
        let control = control.await.map_err(listening::control_plane)?;
        let core = control.core();
        let (log, writer) = access_log::open(&data_dir.join("access.log"))?;
        let to = control
            .addresses()
            .iter()
            .map(ToString::to_string)
            .collect();
        let reset_key = storage::load_reset_key(&data_dir.join("quic.key"))?;
        let config = edge_config(&settings.edge, &joined(settings, &core, to), reset_key);
        let parts = Parts {
            store,
            certificates: trust.source.clone(),
            access: Arc::new(log),
            usage: Arc::new(LocalUsage::new(core.clone())),
        };
        let edge = Edge::bind(config, parts, &mut registry)
            .await
            .map_err(listening::edge)?;
        let admin = observe::listen(&settings.common.admin).await;
        let admin =
            admin.map_err(|(addr, error)| listening::refused(addr, "admin.listen", &error))?;
        // Last, so that a start that fails leaves no key that nobody was told of.
        let made = administrator::ensure(&core, trust.ca.as_deref(), data_dir).await?;
        let about = about(settings, &trust, &edge, &control, &admin, made, data_dir);

        let probes = Admin {
            registry: Arc::new(registry),
            ready: Arc::new(edge.readiness()),
        };
        running.admin(admin, &probes);
        running.control_plane(control);
        running.edge(edge, writer);
        Ok(Self { about, running })
    }

    pub(super) fn server(&self) -> &str {
        &self.about.server
    }

    pub(super) const fn about(&self) -> &output::Started {
        &self.about
    }

    pub(super) async fn stop(self) {
        self.running.stop().await;
    }
}

impl Trust {
    async fn establish(
        settings: &Serve,
        store: &SharedStore,
        envelope: &Envelope,
        data_dir: &Path,
        running: &Running,
        registry: &mut Registry,
    ) -> Result<Self, Failure> {
        if !settings.edge.certificates.is_empty() {
            let files = certificates::load(&settings.edge.certificates, registry)?;
            let asked = Arc::new(Notify::new());
            running.beside(signals::on_reload(asked.clone()));
            running.beside(files.clone().follow(asked));
            return Ok(Self {
                source: files,
                ca: None,
                ca_file: None,
            });
        }
        let ca = DevCa::load_or_create(&**store, envelope, SystemTime::now().into()).await;
        let ca = Arc::new(ca.or_fail(Exit::Failed, "the provider's own CA")?);
        let path = data_dir.join("ca.pem");
        places::write_public(&path, ca.certificate_pem().as_bytes())?;
        Ok(Self {
            ca: Some(ca.certificate_pem().to_owned()),
            source: Arc::new(FromDevCa::new(ca)),
            ca_file: Some(path),
        })
    }
}

fn control_config(settings: &Serve) -> ControlConfig {
    let control = &settings.control_plane;
    ControlConfig {
        listen: control.listen.clone(),
        issuer: Some(control.url.to_string()),
        zone: control.zone.clone(),
        reserved: reserved(settings)
            .into_iter()
            .chain(settings.edge.names.iter().cloned())
            .collect(),
        // The edge is in this process and is told the addresses that were bound.
        forward: Vec::new(),
        tcp_ports: control.tcp_ports.clone(),
        // Agents are elsewhere: they may share whatever listens on these numbers there.
        own_ports: Vec::new(),
        clear_http_port: clear_http_port(settings),
        token_ttl: control.token_ttl,
        session_ttl: control.session_ttl,
    }
}

fn clear_http_port(settings: &Serve) -> Option<u16> {
    let serves = settings.edge.http_mode == HttpMode::Serve;
    let first = settings.edge.http.first();
    first.filter(|_| serves).map(std::net::SocketAddr::port)
}

/// The provider's own names: that of the control plane, and what else is kept.
fn reserved(settings: &Serve) -> Vec<Hostname> {
    let page = settings.control_plane.url.hostname();
    page.into_iter()
        .chain(settings.control_plane.reserved.iter().cloned())
        .collect()
}

/// What an edge of its own would be told when it joins.
fn joined(settings: &Serve, core: &Core, forward: Vec<String>) -> Joined {
    let control = &settings.control_plane;
    let ports = Some(&control.tcp_ports).filter(|ports| !ports.is_empty());
    Joined {
        issuer: core.issuer().to_owned(),
        audience: core.audience(),
        zone: control.zone.clone(),
        reserved: control.url.hostname().into_iter().collect(),
        forward,
        first_tcp_port: ports.map_or(0, |ports| *ports.start()),
        last_tcp_port: ports.map_or(0, |ports| *ports.end()),
    }
}

fn about(
    settings: &Serve,
    trust: &Trust,
    edge: &Edge,
    control: &ControlPlane,
    admin: &[tokio::net::TcpListener],
    made: Option<PathBuf>,
    data_dir: &Path,
) -> output::Started {
    let server = settings.control_plane.url.to_string();
    let mut notes = Vec::new();
    if let Some(ca) = &trust.ca_file {
        notes.extend(introduce::no_certificates(settings, ca));
    }
    let login = match &trust.ca_file {
        Some(_) => format!("adit login {server} --ca ca.pem"),
        None => format!("adit login {server}"),
    };
    notes.extend(introduce::administrator(made.as_deref(), &login, data_dir));
    notes.extend(introduce::records(settings));
    let bound = edge.addresses();
    output::Started {
        role: "serve",
        edge: Some(settings.edge.url.to_string()),
        https: output::texts(&bound.tls),
        quic: output::texts(&bound.quic),
        http: output::texts(&bound.http),
        control: output::texts(control.addresses()),
        admin: observe::urls(admin),
        zone: Some(settings.control_plane.zone.to_string()),
        data_dir: data_dir.to_owned(),
        ca: trust.ca_file.clone(),
        credential: made,
        server,
        notes,
    }
}
