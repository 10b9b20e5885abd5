//! HTTP for machines: the key set and what a client must know to begin.

mod oauth;

use std::{sync::Arc, time::SystemTime};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use model::UnixTime;
use serde_json::json;

use crate::Core;

/// How long a JWKS may be kept: far below the time that a key is published before it signs.
const JWKS_CACHE: &str = "public, max-age=3600";

pub(crate) fn routes(core: Arc<Core>) -> Router {
    Router::new()
        .route("/", get(about))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/.well-known/adit", get(discover))
        .route("/live", get("ok\n"))
        .route("/ready", get(ready))
        .merge(oauth::routes())
        .with_state(core)
}

fn now() -> UnixTime {
    SystemTime::now().into()
}

/// What is not there: a gRPC client gets gRPC's answer, everyone else 404.
#[allow(clippy::unused_async, reason = "axum's handlers are async")]
pub(crate) async fn unknown(headers: HeaderMap) -> Response {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .map_or(&b""[..], |value| value.as_bytes());
    if kind.starts_with(b"application/grpc") {
        return tonic::Status::unimplemented("there is no such service")
            .into_http::<axum::body::Body>();
    }
    (StatusCode::NOT_FOUND, "there is no such page\n").into_response()
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn about(State(core): State<Arc<Core>>) -> String {
    format!("adit provider for {}\n", core.config.zone)
}

/// The store has answered and a signing key is there; one that drains does not listen any more.
#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn ready(State(core): State<Arc<Core>>) -> (StatusCode, &'static str) {
    if core.has_begun() {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the store has not answered yet\n",
        )
    }
}

/// RFC 7517, section 5.
#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn jwks(State(core): State<Arc<Core>>) -> Response {
    let set = core.keys.load().public();
    let keys: Vec<_> = set.iter().collect();
    (
        [(header::CACHE_CONTROL, JWKS_CACHE)],
        Json(json!({ "keys": keys })),
    )
        .into_response()
}

async fn discover(State(core): State<Arc<Core>>) -> Response {
    match core.locations().await {
        Ok(locations) => Json(json!({
            "issuer": core.issuer(),
            "jwks_uri": format!("{}/.well-known/jwks.json", core.issuer()),
            "zone": core.config.zone,
            "locations": locations,
        }))
        .into_response(),
        Err(error) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({"error": error.code.as_str()})),
        )
            .into_response(),
    }
}
