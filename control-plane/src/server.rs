//! Wires the control plane: binds first, then serves gRPC and web on the same port.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::Router;
use prometheus_client::registry::Registry;
use store::{Envelope, SharedStore};
use tokio::{
    net::TcpListener,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Config, ControlError, Core, ErrorCode, api, listen, metrics::Metrics, web};

/// Between two looks at what is due: keys to rotate, revocations to forget.
const HOUSEKEEPING: Duration = Duration::from_secs(60);
/// Looks between two searches of the audit log for what is old, which read all of it: an hour's.
const LOOKS_PER_AUDIT: u32 = 60;

/// Between two tries to reach a store that was not there at the start.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// Bound, but not yet serving.
#[derive(Debug)]
pub struct ControlPlane {
    core: Arc<Core>,
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    routes: Router,
}

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("the control plane cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    #[error("the control plane listens nowhere")]
    Nowhere,
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("gRPC reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Whether calls can be answered: the store was there once, and a signing key is.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Core>);

impl Readiness {
    pub fn is_ready(&self) -> bool {
        self.0.has_begun()
    }
}

impl ControlPlane {
    /// Binds every address and makes the first signing key if there is none. Where the store does not answer yet, that is done
    /// when it does, and calls are refused until then.
    pub async fn bind(
        mut config: Config,
        store: SharedStore,
        envelope: Arc<Envelope>,
        registry: &mut Registry,
    ) -> Result<Self, BindError> {
        let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
        for addr in &config.listen {
            let failed = |error| BindError::Listen(*addr, error);
            let listener = TcpListener::bind(addr).await.map_err(failed)?;
            addresses.push(listener.local_addr().map_err(failed)?);
            listeners.push(listener);
        }
        let first = addresses.first().ok_or(BindError::Nowhere)?;
        let issuer = config
            .issuer
            .clone()
            .unwrap_or_else(|| format!("http://{first}"));
        if config.forward.is_empty() {
            config.forward = addresses.iter().map(ToString::to_string).collect();
        }
        let core = Core::new(config, issuer, store, envelope, Metrics::register(registry));
        match core.begin(SystemTime::now().into()).await {
            Err(error) if error.code == ErrorCode::Unavailable => {
                tracing::warn!(%error, "the control plane starts without its store");
            }
            result => result?,
        }
        let routes = api::routes(core.clone())?
            .into_axum_router()
            .merge(web::routes(core.clone()))
            .fallback(web::unknown);
        Ok(Self {
            core,
            listeners,
            addresses,
            routes,
        })
    }

    pub fn core(&self) -> Arc<Core> {
        self.core.clone()
    }

    pub fn readiness(&self) -> Readiness {
        Readiness(self.core.clone())
    }

    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until `stop` is cancelled; calls that are under way finish.
    pub async fn run(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        for listener in self.listeners {
            let (routes, metrics) = (self.routes.clone(), self.core.metrics.clone());
            tasks.spawn(listen::serve(listener, routes, metrics, stop.clone()));
        }
        let following = self.core.clone().follow_keys();
        tasks.spawn({
            let stop = stop.clone();
            async move {
                stop.run_until_cancelled(following).await;
            }
        });
        tasks.spawn(keep_house(self.core, stop));
        tasks.close();
        tasks.wait().await;
    }
}

async fn keep_house(core: Arc<Core>, stop: CancellationToken) {
    while !core.has_begun() {
        if stop.run_until_cancelled(sleep(FIRST_LOOK)).await.is_none() {
            return;
        }
        if let Err(error) = core.begin(SystemTime::now().into()).await {
            tracing::warn!(%error, "the control plane waits for its store");
        }
    }
    let mut ticks = interval(HOUSEKEEPING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = 0u32;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = SystemTime::now().into();
        if let Err(error) = core.rotate_keys(now).await {
            tracing::warn!(%error, "signing keys cannot be looked after");
        }
        if let Err(error) = core.prune_revocations(now).await {
            tracing::warn!(%error, "old revocations cannot be forgotten");
        }
        if let Err(error) = core.prune_devices(now).await {
            tracing::warn!(%error, "old device codes cannot be forgotten");
        }
        if looks.is_multiple_of(LOOKS_PER_AUDIT) {
            if let Err(error) = core.prune_audit(now).await {
                tracing::warn!(%error, "old audit records cannot be forgotten");
            }
            if let Err(error) = core.prune_consents(now).await {
                tracing::warn!(%error, "old consents cannot be ended");
            }
            if let Err(error) = core.forget_usage(now).await {
                tracing::warn!(%error, "old usage cannot be forgotten");
            }
        }
        looks = looks.wrapping_add(1);
    }
}
