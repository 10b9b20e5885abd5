//! What operators see of a process: the admin address with its probes and metrics, and the log.

mod admin;
mod agent;
mod figures;
mod log;
#[cfg(feature = "otel")]
mod otel;
mod process;
mod ready;
mod store;
mod tunnel;

use prometheus_client::registry::Registry;

#[cfg(feature = "otel")]
pub(crate) use self::otel::Traces;
pub(crate) use self::{
    admin::{Admin, listen, twin, urls},
    agent::Tunnels,
    log::{LogFormat, start_log, start_provider_log},
    ready::{NotJoined, OfControlPlane, Ready},
    store::{Metered, embedded, etcd},
};

/// A registry with what every process has.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::with_prefix("adit");
    process::register(&mut registry);
    registry.register_collector(Box::new(tunnel::Tunnel));
    #[cfg(feature = "otel")]
    otel::register(&mut registry);
    registry
}
