//! HTTP/2 in clear text to the origin: many requests at a time on a few connections.

use std::{sync::Arc, time::Duration};

use http::Request;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::{
    Attempt, Errand, Lease, Pool, SendError, Shelf, copy_for_replay, link::Link, lock, shared_head,
};
use crate::{
    http::{OriginError, body::RequestBody, tasks::Spawner},
    metrics::Hit,
};

/// Origins that speak h2c (gRPC servers) keep idle connections for minutes.
const IDLE: Duration = Duration::from_secs(60);
/// Requests at a time on one connection, unless the origin wants fewer. Go, nginx and hyper offer about as many.
const MAX_STREAMS: usize = 100;
/// Connections per bound endpoint: 1,600 requests at a time.
const MAX_CONNECTIONS: usize = 16;
/// What an origin may send ahead of a slow visitor.
const STREAM_WINDOW: u32 = 256 * 1024;
/// All streams together, so that slow visitors, each with a full window, do not stall the others on the connection.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;
/// What is kept of a request's body while the origin is slow.
const SEND_BUFFER: usize = 256 * 1024;
const MAX_HEADERS: u32 = 64 * 1024;

/// A connection that many requests use.
pub(super) struct SharedH2 {
    link: Arc<Link>,
    sender: SendRequest<RequestBody>,
}

impl SharedH2 {
    pub(super) fn is(&self, link: &Link) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.link), link)
    }

    fn has_room(&self) -> bool {
        self.link.active() < MAX_STREAMS.min(self.link.allowed_streams())
    }

    fn join(&self) -> Self {
        self.link.begin();
        Self {
            link: self.link.clone(),
            sender: self.sender.clone(),
        }
    }
}

impl Shelf {
    /// A connection with room, or how many there are.
    fn join_h2(&self) -> Result<SharedH2, usize> {
        let mut open = lock(&self.h2);
        open.retain(|connection| !connection.sender.is_closed());
        let free = open.iter().find(|connection| connection.has_room());
        free.map(SharedH2::join).ok_or(open.len())
    }
}

impl Pool {
    pub(super) async fn send_h2(
        &self,
        errand: &Errand<'_>,
        request: Request<RequestBody>,
    ) -> Result<(Attempt, bool), SendError> {
        let (mut connection, reused) = self.join_or_open(errand).await?;
        let lease = Lease::shared(connection.link.clone());
        let copy = reused.then(|| copy_for_replay(&request)).flatten();
        let mut error = match connection.sender.try_send_request(request).await {
            Ok(response) => return Ok((Attempt::Done(response, lease), reused)),
            Err(error) => error,
        };
        let failure = connection.link.failure();
        if let Some(request) = error.take_message()
            && (reused || failure.is_none())
        {
            return Ok((Attempt::Stale(request), reused));
        }
        let attempt = match (copy, failure) {
            (Some(parts), Some(_)) => {
                let body = RequestBody::empty(errand.meter.clone());
                Attempt::Stale(Request::from_parts(parts, body))
            }
            (_, Some(failure)) => Attempt::Failed(SendError::Origin(failure)),
            (_, None) => Attempt::Failed(SendError::Invalid(error.into_error())),
        };
        Ok((attempt, reused))
    }

    /// One opens at a time: a burst of first requests makes one connection, not one each.
    async fn join_or_open(&self, errand: &Errand<'_>) -> Result<(SharedH2, bool), SendError> {
        if let Ok(connection) = self.shelf.join_h2() {
            errand.metrics.upstream_reused.inc();
            return Ok((connection, true));
        }
        let _opening = self.opening.lock().await;
        match self.shelf.join_h2() {
            Ok(connection) => Ok((connection, true)),
            Err(open) if open >= MAX_CONNECTIONS => {
                errand.metrics.hit(Hit::OriginConnections);
                Err(SendError::Origin(OriginError::Limit))
            }
            Err(_) => self
                .open_h2(errand)
                .await
                .map(|connection| (connection, false)),
        }
    }

    async fn open_h2(&self, errand: &Errand<'_>) -> Result<SharedH2, SendError> {
        let head = shared_head(errand.endpoint);
        let io = errand.open(head).await?;
        errand.metrics.upstream_opened.inc();
        let link = Link::new();
        let (sender, connection) = builder(self.tasks.spawner())
            .handshake(TokioIo::new(link.io(io)))
            .await
            .map_err(SendError::Invalid)?;
        let (mut connection, watcher) = (Box::pin(connection), link.clone());
        let watched = std::future::poll_fn(move |cx| {
            let polled = connection.as_mut().poll(cx);
            watcher.allow_streams(connection.current_max_send_streams());
            polled
        });
        self.drive(watched, link.clone(), IDLE);
        let shared = SharedH2 { link, sender };
        lock(&self.shelf.h2).push(SharedH2 {
            link: shared.link.clone(),
            sender: shared.sender.clone(),
        });
        Ok(shared)
    }
}

fn builder(spawner: Spawner) -> Builder<Spawner> {
    let mut builder = Builder::new(spawner);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(MAX_HEADERS);
    builder
}
