//! The authorization server's endpoints. Programs call them; people answer over gRPC.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::now;
use crate::{
    Core,
    core::{DEVICE_LIVES, INTERVAL, Rights, Tokens},
    listen::PeerAddress,
    oauth::{
        self, API, Client, DEVICE_GRANT, Detail, OAuthCode, OAuthError, Parameters, TUNNEL, What,
    },
};

/// Octets of a request: `authorization_details` are the most of it.
const MAX_BODY: usize = 16 * 1024;
/// How long a client may keep what the provider can do.
const FORWARDED_FOR: &str = "x-forwarded-for";
const METADATA_CACHE: &str = "public, max-age=3600";

pub(super) fn routes() -> Router<Arc<Core>> {
    Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/oauth/token", post(token))
        .route("/oauth/device", post(device))
        .route("/oauth/revoke", post(revoke))
        .route("/device", get(page))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn metadata(State(core): State<Arc<Core>>) -> Response {
    let cached = [(header::CACHE_CONTROL, METADATA_CACHE)];
    open((cached, Json(oauth::server(core.issuer()))))
}

/// RFC 6749, section 3.2.
async fn token(State(core): State<Arc<Core>>, body: String) -> Response {
    answer(grant(&core, &body).await)
}

async fn grant(core: &Core, body: &str) -> Result<Value, OAuthError> {
    let all = Parameters::read(body)?;
    let tokens = match all.need("grant_type")? {
        "refresh_token" => {
            let (token, client) = (all.need("refresh_token")?, all.need("client_id")?);
            core.refresh_consent(token, client, now()).await
        }
        DEVICE_GRANT => {
            let (code, client) = (all.need("device_code")?, all.need("client_id")?);
            core.poll_device(code, client, now()).await
        }
        _ => {
            let why = "grant_type is refresh_token or device_code here";
            Err(OAuthError::new(OAuthCode::UnsupportedGrantType, why))
        }
    }?;
    Ok(told(&tokens))
}

/// RFC 6749, section 5.1, with RFC 9396, section 7.
fn told(tokens: &Tokens) -> Value {
    let mut told = json!({
        "access_token": tokens.access.expose(),
        "token_type": "Bearer",
        "expires_in": tokens.lives.as_secs(),
        "refresh_token": &*tokens.refresh,
    });
    match tokens.rights {
        Rights::Api => told["scope"] = API.into(),
        Rights::Tunnel(_) => {
            let details: Vec<_> = tokens
                .endpoints
                .iter()
                .map(|endpoint| Detail::new(&endpoint.name, endpoint.kind, &tokens.locations))
                .collect();
            told["scope"] = TUNNEL.into();
            told["authorization_details"] = json!(details);
        }
    }
    told
}

/// RFC 8628, section 3.1.
async fn device(
    State(core): State<Arc<Core>>,
    Extension(peer): Extension<PeerAddress>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let from = asker(peer, &headers);
    let begun = async {
        let all = Parameters::read(&body)?;
        let client = Client::device(all.need("client_id")?)?;
        let what = What::read(&all, core.issuer())?;
        core.begin_device(client, what, from, now()).await
    };
    let page = format!("{}/device", core.issuer().trim_end_matches('/'));
    answer(begun.await.map(|codes| {
        json!({
            "device_code": codes.device.expose(),
            "user_code": codes.user.to_string(),
            "verification_uri": page,
            "expires_in": DEVICE_LIVES.as_secs(),
            "interval": INTERVAL.as_secs(),
        })
    }))
}

/// Whoever asks. Edges forward the provider's own name and say for whom; they stand beside the control plane, so others are
/// not believed.
fn asker(PeerAddress(peer): PeerAddress, headers: &HeaderMap) -> IpAddr {
    let is_near = match peer.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    };
    let said = headers.get(FORWARDED_FOR).filter(|_| is_near);
    said.and_then(|address| address.to_str().ok()?.parse().ok())
        .unwrap_or(peer)
}

/// Where a device sends whoever is to answer.
#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn page() -> &'static str {
    "A device asks for rights at this provider and shows a code.\n\n\
     If it is yours, look at what it asks for, and answer, where you have signed in with adit:\n\n    \
     adit admin device show CODE\n    \
     adit admin device approve CODE\n    \
     adit admin device deny CODE\n"
}

/// RFC 7009, section 2: what is not there is revoked.
async fn revoke(State(core): State<Arc<Core>>, body: String) -> Response {
    let revoked = async {
        let all = Parameters::read(&body)?;
        let (token, client) = (all.need("token")?, all.need("client_id")?);
        core.revoke_consent(token, client, now()).await?;
        Ok(json!({}))
    };
    answer(revoked.await)
}

fn answer(result: Result<Value, OAuthError>) -> Response {
    // RFC 6749, section 5.1.
    let uncached = [(header::CACHE_CONTROL, "no-store")];
    match result {
        Ok(told) => open((uncached, Json(told))),
        Err(error) => {
            let status = match error.code {
                OAuthCode::InvalidClient => StatusCode::UNAUTHORIZED,
                OAuthCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
                OAuthCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::BAD_REQUEST,
            };
            open((status, uncached, Json(error)))
        }
    }
}

/// Programs in browsers may read it, whichever page they are of: there is nothing here that a cookie would open.
fn open(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.headers_mut().insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    response
}
