//! The admin address: `/live`, `/ready` and `/metrics`.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use edge::Readiness;
use prometheus_client::{encoding::text, registry::Registry};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The media type of OpenMetrics 1.0, which `prometheus_client` writes.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What `/ready` and `/metrics` look at.
#[derive(Clone)]
pub(crate) struct Probes {
    pub(crate) registry: Arc<Registry>,
    pub(crate) readiness: Readiness,
}

pub(crate) async fn listen(addrs: &[SocketAddr]) -> std::io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for addr in addrs {
        listeners.push(TcpListener::bind(addr).await?);
    }
    Ok(listeners)
}

pub(crate) async fn serve(
    listener: TcpListener,
    probes: Probes,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(probes);
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn ready(State(probes): State<Probes>) -> (StatusCode, &'static str) {
    if probes.readiness.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "draining, or not synced yet\n",
        )
    }
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn metrics(
    State(probes): State<Probes>,
) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    let mut body = String::new();
    let status = match text::encode(&mut body, &probes.registry) {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, [("content-type", OPENMETRICS)], body)
}
