//! HTTP for machines: the key set and what a client must know to begin.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use crate::Core;

/// How long a JWKS may be kept: far below the time that a key is published before it signs.
const JWKS_CACHE: &str = "public, max-age=3600";

pub(crate) fn routes(core: Arc<Core>) -> Router {
    Router::new()
        .route("/", get(about))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/.well-known/adit", get(discover))
        .with_state(core)
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn about(State(core): State<Arc<Core>>) -> String {
    format!("adit provider for {}\n", core.config.zone)
}

/// RFC 7517, section 5.
#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn jwks(State(core): State<Arc<Core>>) -> Response {
    let set = core.keys.load().public();
    let keys: Vec<_> = set.iter().collect();
    ([(header::CACHE_CONTROL, JWKS_CACHE)], Json(json!({ "keys": keys }))).into_response()
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
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": error.code.as_str()}))).into_response(),
    }
}
