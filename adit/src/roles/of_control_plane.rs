//! `adit control-plane`: one of any number of equal ones.

use std::{path::Path, sync::Arc, time::Duration};

use control_plane::{Config as ControlConfig, ControlPlane, Core, Readiness};
use tokio::time::sleep;

use crate::{
    cli::RoleArgs,
    configured,
    failure::Failure,
    observe::{self, Admin, LogFormat, OfControlPlane},
    output::{self, Event, Output},
    provider::{Lock, Running, administrator, listening, notify, storage},
    signals,
};

/// Between two looks whether the store has come.
const LOOK: Duration = Duration::from_millis(500);

pub(super) async fn run(
    args: RoleArgs,
    verbose: u8,
    format: LogFormat,
    output: &mut Output,
) -> Result<(), Failure> {
    let settings = configured::role(&args.config, &args.process, config::ControlPlaneRole::of)?;
    observe::start_provider_log(&settings.common.log, verbose, format);
    let data_dir = super::data_dir(settings.common.data_dir.as_ref(), "control-plane")?;
    let mut lock = Lock::take(&data_dir, "adit control-plane")?;
    let stop = signals::stop_token();

    let mut registry = observe::registry();
    let key = settings.control_plane.key_encryption_key_file.as_deref();
    let envelope = storage::shared_envelope(key)?;
    let store = storage::open(&settings.common.store, &data_dir, &mut registry).await?;
    let config = control_config(&settings.control_plane);
    let control = ControlPlane::bind(config, store, envelope, &mut registry);
    let control = control.await.map_err(listening::control_plane)?;
    let admin = observe::listen(&settings.common.admin).await;
    let admin = admin.map_err(|(addr, error)| listening::refused(addr, "admin.listen", &error))?;
    let about = about(&settings, &control, &admin, &data_dir);
    lock.announce(&about.server)?;

    let running = Running::default();
    let ready = control.readiness();
    let probes = Admin {
        registry: Arc::new(registry),
        ready: Arc::new(OfControlPlane {
            readiness: ready.clone(),
            stop: stop.clone(),
        }),
    };
    running.admin(admin, &probes);
    let core = control.core();
    running.control_plane(control);
    running.beside(make_administrator(core, ready, data_dir));
    running.beside(signals::on_reload(Arc::default()));
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

/// As soon as the store is there. The first of several control planes does it, and says where the key is.
async fn make_administrator(core: Arc<Core>, ready: Readiness, data_dir: std::path::PathBuf) {
    loop {
        if ready.is_ready() {
            match administrator::ensure(&core, None, &data_dir).await {
                Ok(Some(path)) => {
                    return tracing::warn!(path = %path.display(), "the administrator's key was written: keep it safe");
                }
                Ok(None) => return,
                Err(error) => tracing::warn!(%error, "the administrator's account waits"),
            }
        }
        sleep(LOOK).await;
    }
}

fn control_config(control: &config::ControlPlaneSettings) -> ControlConfig {
    let page = control.url.hostname();
    ControlConfig {
        listen: control.listen.clone(),
        issuer: Some(control.url.to_string()),
        zone: control.zone.clone(),
        reserved: page
            .into_iter()
            .chain(control.reserved.iter().cloned())
            .collect(),
        forward: control.forward.clone(),
        tcp_ports: control.tcp_ports.clone(),
        own_ports: Vec::new(),
        clear_http_port: None,
        token_ttl: control.token_ttl,
        session_ttl: control.session_ttl,
    }
}

fn about(
    settings: &config::ControlPlaneRole,
    control: &ControlPlane,
    admin: &[tokio::net::TcpListener],
    data_dir: &Path,
) -> output::Started {
    output::Started {
        role: "control-plane",
        server: settings.control_plane.url.to_string(),
        control: output::texts(control.addresses()),
        admin: observe::urls(admin),
        zone: Some(settings.control_plane.zone.to_string()),
        data_dir: data_dir.to_owned(),
        ..output::Started::default()
    }
}
