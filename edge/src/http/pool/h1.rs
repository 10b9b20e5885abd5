//! HTTP/1.1 to the origin: one request at a time on a connection, which then waits for the next.

use std::{pin::pin, sync::Arc, time::Duration};

use http::{Request, Response, request::Parts};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{Builder, SendRequest},
    },
};
use hyper_util::rt::TokioIo;
use tunnel::StreamHead;

use super::{
    Attempt, Errand, Lease, Pool, SendError, Shelf, copy_for_replay, link::Link, lock, shared_head,
};
use crate::{
    http::{OriginError, body::RequestBody},
    metrics::Hit,
};

/// Shorter than the 5 s after which common origins (Node, uvicorn) close a connection of their own, so that a request seldom
/// meets one that is being closed. A new one costs no round trip.
const IDLE: Duration = Duration::from_secs(4);
/// Connections that wait, per bound endpoint: the bursts of one browser's page, several times over.
const MAX_IDLE: usize = 64;
/// Bytes that hyper buffers of an origin's answer; also the longest head of one.
const BUFFER: usize = 64 * 1024;

/// A connection between two requests.
pub(super) struct IdleH1 {
    link: Arc<Link>,
    sender: SendRequest<RequestBody>,
}

impl IdleH1 {
    pub(super) fn is(&self, link: &Link) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.link), link)
    }
}

impl Shelf {
    pub(super) fn keep(&self, connection: IdleH1) {
        let mut idle = lock(&self.h1);
        if idle.len() < MAX_IDLE && !connection.sender.is_closed() {
            idle.push(connection);
        }
    }

    /// The one that was used last, so that the others may go.
    fn take_h1(&self) -> Option<IdleH1> {
        let mut idle = lock(&self.h1);
        idle.retain(|connection| !connection.sender.is_closed());
        let at = idle
            .iter()
            .rposition(|connection| connection.sender.is_ready())?;
        let connection = idle.remove(at);
        connection.link.begin();
        Some(connection)
    }
}

impl Pool {
    /// One attempt, and whether it was on a connection that had been used before.
    pub(super) async fn send_h1(
        &self,
        errand: &Errand<'_>,
        request: Request<RequestBody>,
        may_reuse: bool,
    ) -> Result<(Attempt, bool), SendError> {
        if may_reuse && let Some(connection) = self.shelf.take_h1() {
            errand.metrics.upstream_reused.inc();
            return Ok((self.attempt(connection, errand, request, true).await, true));
        }
        let head = shared_head(errand.endpoint);
        let connection = self.open_h1(errand, head, false).await?;
        Ok((
            self.attempt(connection, errand, request, false).await,
            false,
        ))
    }

    /// A stream of its own for a request that may change the protocol.
    pub(in crate::http) async fn send_single(
        &self,
        errand: &Errand<'_>,
        head: StreamHead,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        let connection = self.open_h1(errand, head, true).await?;
        send(connection, errand, request).await
    }

    /// A stream of its own for a request that is the only one.
    pub(super) async fn send_once(
        &self,
        errand: &Errand<'_>,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        let head = shared_head(errand.endpoint);
        let connection = self.open_h1(errand, head, false).await?;
        send(connection, errand, request).await
    }

    async fn attempt(
        &self,
        mut connection: IdleH1,
        errand: &Errand<'_>,
        request: Request<RequestBody>,
        reused: bool,
    ) -> Attempt {
        let copy = reused.then(|| copy_for_replay(&request)).flatten();
        let mut sending = pin!(connection.sender.try_send_request(request));
        // Behind the future, so that it is dropped before it: see `LinkIo::poll_shutdown`.
        let lease = Lease::single(connection.link.clone());
        let error = match sending.as_mut().await {
            Ok(response) => {
                return Attempt::Done(
                    response,
                    lease.kept(connection, Arc::downgrade(&self.shelf)),
                );
            }
            Err(error) => error,
        };
        failed(&connection.link, error, copy, reused, errand)
    }

    async fn open_h1(
        &self,
        errand: &Errand<'_>,
        head: StreamHead,
        upgrades: bool,
    ) -> Result<IdleH1, SendError> {
        let io = errand.open(head).await?;
        errand.metrics.upstream_opened.inc();
        let link = Link::new();
        let (sender, connection) = Builder::new()
            .max_buf_size(BUFFER)
            .handshake(TokioIo::new(link.io(io)))
            .await
            .map_err(SendError::Invalid)?;
        if upgrades {
            self.drive(connection.with_upgrades(), link.clone(), IDLE);
        } else {
            self.drive(connection, link.clone(), IDLE);
        }
        Ok(IdleH1 { link, sender })
    }
}

/// Sends a request that nothing follows on the connection.
async fn send(
    mut connection: IdleH1,
    errand: &Errand<'_>,
    request: Request<RequestBody>,
) -> Result<(Response<Incoming>, Lease), SendError> {
    let mut sending = pin!(connection.sender.try_send_request(request));
    let lease = Lease::single(connection.link.clone());
    match sending.as_mut().await {
        Ok(response) => Ok((response, lease)),
        Err(error) => Err(explain(&connection.link, error.into_error(), errand)),
    }
}

fn failed(
    link: &Link,
    mut error: TrySendError<Request<RequestBody>>,
    copy: Option<Parts>,
    reused: bool,
    errand: &Errand<'_>,
) -> Attempt {
    if let Some(request) = error.take_message()
        && (reused || link.failure().is_none())
    {
        return Attempt::Stale(request);
    }
    let error = error.into_error();
    match copy {
        // Gone before an answer came: it was being closed when the request was sent.
        Some(parts) if !error.is_parse() => {
            let body = RequestBody::empty(errand.meter.clone());
            Attempt::Stale(Request::from_parts(parts, body))
        }
        _ => Attempt::Failed(explain(link, error, errand)),
    }
}

/// Whether the stream failed or the origin's answer made no sense.
fn explain(link: &Link, error: hyper::Error, errand: &Errand<'_>) -> SendError {
    if error.is_parse_too_large() {
        errand.metrics.hit(Hit::OriginHead);
    }
    match link.failure() {
        Some(failure) => SendError::Origin(failure),
        None if error.is_parse() => SendError::Invalid(error),
        None => SendError::Origin(OriginError::Aborted),
    }
}
