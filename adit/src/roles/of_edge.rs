//! `adit edge`: one of any number of edges. It joins a control plane, or starts from its snapshot when nobody answers.

use std::{net::SocketAddr, path::Path, sync::Arc};

use config::{EdgeRole, EdgeSettings};
use edge::{Edge, FoundSnapshot, Joined, Parts, SnapshotConfig};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};
use tokio_util::sync::CancellationToken;

use super::join::Joining;
use crate::{
    cli::RoleArgs,
    configured,
    failure::{Exit, Failure, OrFail},
    observe::{self, Admin, LogFormat, NotJoined},
    output::{self, Event, Output},
    provider::{Lock, Running, access_log, certificates, edge_config, listening, notify, storage},
    signals,
};

const SNAPSHOT: &str = "edge.snapshot";

pub(super) async fn run(
    args: RoleArgs,
    verbose: u8,
    format: LogFormat,
    output: &mut Output,
) -> Result<(), Failure> {
    let settings = configured::role(&args.config, &args.process, EdgeRole::of)?;
    observe::start_provider_log(&settings.common.log, verbose, format);
    let data_dir = super::data_dir(settings.common.data_dir.as_ref(), "edge")?;
    let mut lock = Lock::take(&data_dir, "adit edge")?;
    lock.announce(&settings.edge.url.to_string())?;
    let stop = signals::stop_token();

    let mut running = Running::default();
    let admin = observe::listen(&settings.common.admin).await;
    let admin = admin.map_err(|(addr, error)| listening::refused(addr, "admin.listen", &error))?;
    let admin_urls = observe::urls(&admin);
    let mut registry = observe::registry();
    let files = certificates::load(&settings.edge.certificates, &mut registry)?;
    let store = storage::open(&settings.common.store, &data_dir, &mut registry).await?;
    let asked = Arc::new(Notify::new());
    running.beside(signals::on_reload(asked.clone()));
    running.beside(files.clone().follow(asked));
    let joining = Joining::prepare(&settings.join, &settings.edge)?;
    let path = data_dir.join(SNAPSHOT);
    let found = FoundSnapshot::read(&path);
    let joined = match &found {
        Some(found) => Some(found.joined.clone()),
        None => wait_for_provider(&joining, &admin, &stop).await?,
    };
    let Some(joined) = joined else {
        return Ok(());
    };

    let (answer, joined_now) = watch::channel(joined.clone());
    let reset_key = storage::load_reset_key(&data_dir.join("quic.key"))?;
    let mut config = edge_config(&settings.edge, &joined, reset_key);
    config.snapshot = Some(SnapshotConfig {
        path,
        joined: joined_now,
        found,
    });
    let (log, writer) = access_log::open(&data_dir.join("access.log"))?;
    let parts = Parts {
        store,
        certificates: files.clone(),
        access: Arc::new(log),
        usage: Arc::new(joining.usage()),
    };
    let edge = Edge::bind(config, parts, &mut registry)
        .await
        .map_err(listening::edge)?;
    let about = about(&settings.edge, &joined, &edge, admin_urls, &data_dir);

    let probes = Admin {
        registry: Arc::new(registry),
        ready: Arc::new(edge.readiness()),
    };
    running.admin(admin, &probes);
    running.beside(joining.go_on(answer));
    running.edge(edge, writer);
    output.show(&Event::Started(about));
    notify::tell(notify::State::Ready);
    stop.cancelled().await;
    notify::tell(notify::State::Stopping);
    running.stop().await;
    output.show(&Event::Stopped {
        reason: "you asked for it".into(),
    });
    Ok(())
}

/// The first answer ever. Meanwhile the process is alive and not ready; none when it is told to stop.
async fn wait_for_provider(
    joining: &Joining,
    admin: &[TcpListener],
    stop: &CancellationToken,
) -> Result<Option<Joined>, Failure> {
    let waited = CancellationToken::new();
    let probes = Admin {
        registry: Arc::new(observe::registry()),
        ready: Arc::new(NotJoined),
    };
    let _waited = waited.clone().drop_guard();
    for listener in admin {
        let twin = observe::twin(listener).or_fail(Exit::Failed, "the admin address")?;
        tokio::spawn(probes.clone().serve(twin, waited.clone()));
    }
    // A service manager would take the wait for a start that failed, and begin again.
    notify::tell(notify::State::Ready);
    Ok(stop.run_until_cancelled(joining.first()).await)
}

fn about(
    settings: &EdgeSettings,
    joined: &Joined,
    edge: &Edge,
    admin: Vec<String>,
    data_dir: &Path,
) -> output::Started {
    let bound = edge.addresses();
    let texts = |addresses: &[SocketAddr]| output::texts(addresses);
    output::Started {
        role: "edge",
        server: joined.issuer.clone(),
        edge: Some(settings.url.to_string()),
        https: texts(&bound.tls),
        quic: texts(&bound.quic),
        http: texts(&bound.http),
        admin,
        zone: Some(joined.zone.to_string()),
        data_dir: data_dir.to_owned(),
        ..output::Started::default()
    }
}
