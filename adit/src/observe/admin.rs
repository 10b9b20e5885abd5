//! The admin address: `/live`, `/ready` and `/metrics`.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::StatusCode,
    routing::get,
};
use prometheus_client::{encoding::text, registry::Registry};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Ready;

/// The media type of OpenMetrics 1.0, which `prometheus_client` writes.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the admin address looks at.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) registry: Arc<Registry>,
    pub(crate) ready: Arc<dyn Ready>,
}

/// The address that could not be bound, and why.
pub(crate) type ListenError = (SocketAddr, std::io::Error);

pub(crate) async fn listen(addrs: &[SocketAddr]) -> Result<Vec<TcpListener>, ListenError> {
    let mut listeners = Vec::new();
    for addr in addrs {
        listeners.push(
            TcpListener::bind(addr)
                .await
                .map_err(|error| (*addr, error))?,
        );
    }
    Ok(listeners)
}

/// Another handle of the same socket, for whoever serves before its owner can.
pub(crate) fn twin(listener: &TcpListener) -> std::io::Result<TcpListener> {
    let twin = socket2::SockRef::from(listener).try_clone()?;
    TcpListener::from_std(twin.into())
}

/// As they stand in events.
pub(crate) fn urls(listeners: &[TcpListener]) -> Vec<String> {
    let bound = listeners
        .iter()
        .filter_map(|listener| listener.local_addr().ok());
    bound.map(|addr| format!("http://{addr}")).collect()
}

impl Admin {
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        axum::serve(listener, self.routes())
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
    }

    fn routes(self) -> Router {
        Router::new()
            .route("/live", get(live))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

/// The process answers, and that is all: what is outside of it must not have it restarted.
#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn ready(State(admin): State<Admin>, RawQuery(query): RawQuery) -> (StatusCode, Json<Value>) {
    let reason = admin.ready.not_ready();
    let mut body = json!({ "ready": reason.is_none() });
    if let Some(reason) = reason {
        body["reason"] = reason.into();
    }
    if query.is_some_and(|query| query.split('&').any(|word| word == "verbose")) {
        body["version"] = env!("CARGO_PKG_VERSION").into();
        body["details"] = admin.ready.details();
    }
    let status = match reason {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(body))
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn metrics(
    State(admin): State<Admin>,
) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    let mut body = String::new();
    let status = match text::encode(&mut body, &admin.registry) {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, [("content-type", OPENMETRICS)], body)
}
