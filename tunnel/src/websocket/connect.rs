//! From a connection to a session, on both sides.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Empty;
use hyper::upgrade::on;
use tokio::io::{AsyncRead, AsyncWrite};

use super::handshake::{self, HandshakeError};
use crate::{
    mux::Role,
    upgrade::{self, MuxTransport, UpgradeError},
};

/// Asks the edge behind `io` for a tunnel; see [`upgrade::connect`].
pub async fn connect<I>(
    io: I,
    authority: &str,
    peer: SocketAddr,
) -> Result<MuxTransport, UpgradeError>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let key = handshake::new_key();
    let mut request = Request::get(upgrade::PATH)
        .header(header::HOST, authority)
        .header(header::CONNECTION, "upgrade");
    for (name, value) in handshake::ask(&key) {
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new())?;
    let upgraded = upgrade::ask(io, request, |response| {
        Ok(handshake::check(
            response.status(),
            response.headers(),
            &key,
        )?)
    });
    Ok(MuxTransport::websocket(upgraded.await?, Role::Client, peer))
}

/// The answer to a request for which [`handshake::asks`] holds, and the session that begins once it was sent; see
/// [`upgrade::accept`].
pub fn accept<B>(
    request: Request<B>,
    peer: SocketAddr,
) -> Result<
    (
        Response<()>,
        impl Future<Output = Result<MuxTransport, UpgradeError>> + use<B>,
    ),
    HandshakeError,
> {
    let response = handshake::answer(request.headers())?;
    let upgrade = on(request);
    let session = async move { Ok(MuxTransport::websocket(upgrade.await?, Role::Server, peer)) };
    Ok((response, session))
}
