//! The binding over HTTPS: an HTTP/1.1 Upgrade (RFC 9110, section 7.8) on the edge's own name, and the mux behind it.

mod request;
mod transport;

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::{
    body::Incoming,
    client::conn::http1,
    upgrade::{Upgraded, on},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use self::request::names;
pub use self::{
    request::{asks_for, is_tunnel_request},
    transport::{MuxTransport, budget},
};
use crate::{Code, limits, message::ErrorMessage, mux::Role, websocket::HandshakeError};

/// Where an edge listens for agents, on its own names only (RFC 8615).
pub const PATH: &str = "/.well-known/tunnel";
/// The protocol behind the upgrade.
pub const TOKEN: &str = "adit-mux";

#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    #[error("the edge refused the tunnel with status {status}{}", because(.error.as_ref()))]
    Refused {
        status: StatusCode,
        error: Option<ErrorMessage>,
    },
    #[error("the edge switched to another protocol than adit-mux")]
    Protocol,
    #[error("no WebSocket: {0}")]
    WebSocket(#[from] HandshakeError),
    #[error("not an edge's name: {0}")]
    Name(#[from] http::Error),
    #[error("HTTP with the edge failed: {0}")]
    Http(#[from] hyper::Error),
}

/// Asks the edge behind `io` for a tunnel. `authority` is the edge's name, with its port unless that is 443. Whoever drops
/// the future gives up.
pub async fn connect<I>(
    io: I,
    authority: &str,
    peer: SocketAddr,
) -> Result<MuxTransport, UpgradeError>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = Request::get(PATH)
        .header(header::HOST, authority)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, TOKEN)
        .body(Empty::<Bytes>::new())?;
    let upgraded = ask(io, request, |response| {
        if names(response.headers(), &header::UPGRADE, TOKEN) {
            Ok(())
        } else {
            Err(UpgradeError::Protocol)
        }
    });
    Ok(MuxTransport::upgraded(upgraded.await?, Role::Client, peer))
}

/// Sends a request for an upgrade, and gives the connection back when the answer is a switch of protocols that `is_ours`.
pub(crate) async fn ask<I>(
    io: I,
    request: Request<Empty<Bytes>>,
    is_ours: impl FnOnce(&Response<Incoming>) -> Result<(), UpgradeError>,
) -> Result<Upgraded, UpgradeError>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
    let asking = async {
        let response = sender.send_request(request).await?;
        upgraded(response, is_ours).await
    };
    // The connection does the reading and writing for `asking`, and hands its socket over when it ends.
    let mut connection = std::pin::pin!(connection.with_upgrades());
    let mut asking = std::pin::pin!(asking);
    tokio::select! {
        biased;
        upgraded = &mut asking => upgraded,
        driven = &mut connection => match (asking.await, driven) {
            (Err(UpgradeError::Http(_)), Err(cause)) => Err(cause.into()),
            (asked, _) => asked,
        },
    }
}

/// The answer to a request for which [`is_tunnel_request`] holds, and the session that begins once it was sent: the
/// future is to be run beside the connection, not inside its handler.
pub fn accept<B>(
    request: Request<B>,
    peer: SocketAddr,
) -> (
    Response<()>,
    impl Future<Output = Result<MuxTransport, UpgradeError>> + use<B>,
) {
    let upgrade = on(request);
    let session = async move { Ok(MuxTransport::upgraded(upgrade.await?, Role::Server, peer)) };
    (switch_to(TOKEN), session)
}

/// The answer that ends HTTP on a connection.
pub fn switch_to<B: Default>(token: &'static str) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(
        header::CONNECTION,
        header::HeaderValue::from_static("upgrade"),
    );
    headers.insert(header::UPGRADE, header::HeaderValue::from_static(token));
    response
}

/// The answer that tells an agent why there is no tunnel: the status of the code, the message as JSON.
pub fn refuse(error: &ErrorMessage) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(error).unwrap_or_default();
    let mut response = Response::new(Full::new(body.into()));
    let status = error.code.http_status();
    *response.status_mut() = status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    if error.code == Code::Version {
        // RFC 9110, section 15.5.22.
        let token = header::HeaderValue::from_static(TOKEN);
        response.headers_mut().insert(header::UPGRADE, token);
    }
    response
}

async fn upgraded(
    response: Response<Incoming>,
    is_ours: impl FnOnce(&Response<Incoming>) -> Result<(), UpgradeError>,
) -> Result<Upgraded, UpgradeError> {
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let body = Limited::new(response.into_body(), limits::CONTROL_LINE);
        let body = body.collect().await.map(|body| body.to_bytes());
        let error = body
            .ok()
            .and_then(|body| serde_json::from_slice(&body).ok());
        return Err(UpgradeError::Refused { status, error });
    }
    is_ours(&response)?;
    Ok(on(response).await?)
}

fn because(error: Option<&ErrorMessage>) -> String {
    error.map_or_else(String::new, |error| {
        format!(": {} ({})", error.msg, error.code)
    })
}

#[cfg(test)]
mod tests;
