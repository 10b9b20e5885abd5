//! One visitor's connection, from its first byte to its last, in HTTP/1.1 or HTTP/2.

mod activity;

use std::{pin::pin, sync::Arc, time::Duration};

use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub(super) use self::activity::{Activity, InFlight};
use super::{
    AccessLog, HttpMetrics, Routes, VisitorConnection,
    proxy::Proxy,
    sniff::{self, Rewound},
    tasks::{Spawner, Tasks},
};
use crate::metrics::Hit;

/// All the fields of a message's head. Browsers stay below 16 KiB; some single sign-on cookies do not.
const MAX_HEAD: usize = 64 * 1024;
/// Requests at a time on an HTTP/2 connection; what browsers and gRPC clients expect at least is 100.
const MAX_STREAMS: u32 = 250;
/// What a visitor may upload ahead of a slow origin, per stream and in all.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;
/// What is kept of an answer while the visitor is slow, per stream.
const SEND_BUFFER: usize = 256 * 1024;
/// Finds visitors that went away without a word.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection that was told to end, and has nothing left to do, may take that long.
const CLOSING: Duration = Duration::from_secs(5);

/// What all connections have in common.
#[derive(Debug)]
pub struct Shared {
    pub routes: Arc<dyn Routes>,
    pub access: Arc<dyn AccessLog>,
    pub metrics: HttpMetrics,
    pub limits: Limits,
}

/// Times that an operator may want to change.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the head of a request, and between two requests of HTTP/1.1.
    pub head: Duration,
    /// From the last byte of a request to the first of its answer.
    pub answer: Duration,
    /// Between two requests of HTTP/2.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(30),
            answer: Duration::from_secs(120),
            idle: Duration::from_secs(180),
        }
    }
}

/// Serves one visitor's connection. When `drain` is cancelled, requests that are under way are finished and no new ones are taken.
///
/// Everything that belongs to the connection ends when this future does, or is dropped.
pub async fn serve<I>(
    mut io: I,
    visitor: VisitorConnection,
    shared: Arc<Shared>,
    drain: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match visitor.speaks_h2() {
        Some(true) => serve_h2(io, visitor, shared, drain).await,
        Some(false) => serve_h1(io, visitor, shared, drain).await,
        None => {
            let sniffing = timeout(shared.limits.head, sniff::is_h2(&mut io));
            let Some(first) = drain.run_until_cancelled(sniffing).await else {
                return;
            };
            match first {
                Ok(Ok((true, first))) => {
                    serve_h2(Rewound::new(first, io), visitor, shared, drain).await;
                }
                Ok(Ok((false, first))) => {
                    serve_h1(Rewound::new(first, io), visitor, shared, drain).await;
                }
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a visitor left before the first request")
                }
                Err(_) => shared.metrics.hit(Hit::HeaderTime),
            }
        }
    }
}

async fn serve_h1<I>(
    io: I,
    visitor: VisitorConnection,
    shared: Arc<Shared>,
    drain: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = shared.limits;
    let proxy = Arc::new(Proxy::new(visitor, shared.clone(), Activity::start()));
    let for_requests = proxy.clone();
    let service = service_fn(move |request| for_requests.clone().answer(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = &mut connection => result,
        () = drain.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        if error.is_timeout() {
            shared.metrics.hit(Hit::HeaderTime);
        } else if error.is_parse_too_large() {
            shared.metrics.hit(Hit::HeaderBytes);
        }
        tracing::debug!(%error, "a visitor's connection has failed");
    }
    if let Some(switch) = proxy.take_switch() {
        switch.run().await;
    }
}

async fn serve_h2<I>(
    io: I,
    visitor: VisitorConnection,
    shared: Arc<Shared>,
    drain: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::start();
    let proxy = Arc::new(Proxy::new(visitor, shared.clone(), activity.clone()));
    let service = service_fn(move |request: http::Request<Incoming>| proxy.clone().answer(request));
    let tasks = Tasks::default();
    let connection = h2_builder(tasks.spawner()).serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = &mut connection => result,
        () = activity.idle(&shared.limits) => {
            shared.metrics.hit(Hit::IdleVisitor);
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                result = connection => result,
                () = activity.at_rest(CLOSING) => return shared.metrics.hit(Hit::ClosingTime),
            }
        }
        () = drain.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                result = connection => result,
                () = activity.at_rest(CLOSING) => return shared.metrics.hit(Hit::ClosingTime),
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a visitor's connection has failed");
    }
}

/// Extended CONNECT (RFC 8441) is not offered, so that browsers take a connection of HTTP/1.1 for WebSocket. The defences
/// against floods of resets are hyper's own and stay on.
fn h2_builder(spawner: Spawner) -> http2::Builder<Spawner> {
    let mut builder = http2::Builder::new(spawner);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD as u32)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}
