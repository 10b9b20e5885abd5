//! HTTP on the edge's own names: the way in for agents that come over TCP, and a word for whoever else looks in.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tunnel::{
    Code,
    message::ErrorMessage,
    single,
    upgrade::{self, MuxTransport, UpgradeError},
    websocket::{self, HandshakeError},
};

use super::{Front, VisitorSlot, strangers::Stranger};
use crate::{
    bounds::{HANDSHAKE_WITHIN, HEADER_BYTES, HEADER_WITHIN},
    metrics::Hit,
    session,
};

/// What a stranger holds, until he is known as an agent or leaves.
pub(super) type Places = (VisitorSlot, Stranger);

struct Door {
    front: Arc<Front>,
    peer: SocketAddr,
    slot: Arc<VisitorSlot>,
    /// Taken by the request that becomes a session, or belongs to one.
    stranger: Mutex<Option<Stranger>>,
}

pub(super) async fn serve<I>(front: Arc<Front>, io: I, peer: SocketAddr, places: Places)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (leaving, metrics) = (front.stages.leaving.clone(), front.metrics.clone());
    let (slot, stranger) = places;
    let door = Arc::new(Door {
        front,
        peer,
        slot: Arc::new(slot),
        stranger: Mutex::new(Some(stranger)),
    });
    let service = service_fn(|request| {
        let door = door.clone();
        async move { Ok::<_, Infallible>(door.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_WITHIN)
        .max_header_size(HEADER_BYTES)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = &mut connection => result,
        () = leaving.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        if error.is_timeout() || error.is_parse_too_large() {
            metrics.hit(Hit::OwnHead);
        }
        tracing::debug!(%peer, %error, "a connection on the edge's own name has failed");
    }
}

impl Door {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if upgrade::is_tunnel_request(&request) {
            return self.session(|| Ok(upgrade::accept(request, self.peer)));
        }
        if websocket::asks(&request) {
            return self.session(|| websocket::accept(request, self.peer));
        }
        if upgrade::asks_for(&request, single::TOKEN) {
            let known = || drop(self.take_stranger());
            let (singles, slot) = (&self.front.singles, self.slot.clone());
            return singles.poll(request, self.peer, slot, known).await;
        }
        match request.uri().path() {
            upgrade::PATH => {
                let message =
                    "ask for GET with Upgrade: adit-mux, websocket or adit-single over HTTP/1.1";
                upgrade::refuse(&ErrorMessage::new(Code::Version, message))
            }
            "/" => self.about(&request),
            _ => {
                let mut response = text("text/plain; charset=utf-8", "not found\n".into());
                *response.status_mut() = StatusCode::NOT_FOUND;
                response
            }
        }
    }

    fn session<U>(
        &self,
        accept: impl FnOnce() -> Result<(Response<()>, U), HandshakeError>,
    ) -> Response<Full<Bytes>>
    where
        U: Future<Output = Result<MuxTransport, UpgradeError>> + Send + 'static,
    {
        let slot = self.slot.clone();
        let (response, upgrading) = match accept() {
            Ok(accepted) => accepted,
            Err(error) => return websocket::refuse(error),
        };
        let Some(stranger) = self.take_stranger() else {
            let message = "this connection is a session already";
            return upgrade::refuse(&ErrorMessage::new(Code::Protocol, message));
        };
        let (desk, cut) = (self.front.desk.clone(), self.front.stages.cut.clone());
        // Boxed, as what is waited for under another future takes its place twice.
        let session = Box::pin(async move {
            match Box::pin(timeout(HANDSHAKE_WITHIN, upgrading)).await {
                Ok(Ok(transport)) => {
                    session::serve(desk, Arc::new(transport), (slot, stranger)).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "an upgrade fails"),
                Err(_) => desk.metrics.hit(Hit::HandshakeTime),
            }
        });
        let session = cut.run_until_cancelled_owned(session);
        self.front.stages.sessions.spawn(session);
        response.map(|()| Full::default())
    }

    fn take_stranger(&self) -> Option<Stranger> {
        let mut stranger = self.stranger.lock().unwrap_or_else(PoisonError::into_inner);
        stranger.take()
    }

    fn about(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let accept = request.headers().get(header::ACCEPT);
        let wants_html = accept.is_some_and(|accept| {
            accept
                .to_str()
                .is_ok_and(|accept| accept.contains("text/html"))
        });
        let edge = &self.front.desk.edge;
        if wants_html {
            // An id has no character that HTML gives a meaning.
            let page = format!(
                "<!doctype html><title>adit edge {edge}</title><p>This is edge <b>{edge}</b> of an \
                 adit provider. Agents come here; there is nothing to see.</p>\n"
            );
            return text("text/html; charset=utf-8", page);
        }
        let about = serde_json::json!({
            "edge": edge, "region": self.front.desk.region, "tunnel": upgrade::PATH,
        });
        text("application/json", format!("{about}\n"))
    }
}

fn text(kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
