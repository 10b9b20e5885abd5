//! Takes connections of HTTP/1.1 and h2c, so many and so slow and no more.

use std::{net::IpAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::metrics::{Hit, Metrics};

/// Connections at a time: edges and agents need one each, and each costs some 40 KiB.
const MAX_CONNECTIONS: usize = 4096;
/// For a connection's first byte, and for the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// The start of HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Between two looks at a preface that comes in parts, which no client of ours sends.
const PREFACE_PAUSE: Duration = Duration::from_millis(20);
/// Calls at a time on one connection.
const MAX_CALLS: u32 = 128;
/// Finds peers that went away without a word.
const PING: Duration = Duration::from_secs(30);
/// How long calls may go on when the process stops.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// Pause after a failed accept: out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where a connection comes from, among the extensions of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerAddress(pub(crate) IpAddr);

/// Serves until `stop` is cancelled and the connections are gone.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let (places, tasks) = (
        Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        TaskTracker::new(),
    );
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match (accepted, places.clone().try_acquire_owned()) {
            (Ok((stream, peer)), Ok(place)) => {
                // Every call of the connection says where it comes from.
                let routes = routes.clone().layer(Extension(PeerAddress(peer.ip())));
                let (metrics, stop) = (metrics.clone(), stop.clone());
                tasks.spawn(async move {
                    connection(stream, routes, &metrics, stop).await;
                    drop(place);
                });
            }
            (Ok(_), Err(_)) => {
                metrics.hit(Hit::Connections);
            }
            (Err(error), _) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    tasks.close();
    tasks.wait().await;
}

async fn connection(stream: TcpStream, routes: Router, metrics: &Metrics, stop: CancellationToken) {
    let beginning = timeout(HEAD_WITHIN, has_begun(&stream));
    match stop.run_until_cancelled(beginning).await {
        Some(Ok(true)) => {}
        Some(Err(_)) => return metrics.hit(Hit::HeadTime),
        Some(Ok(false)) | None => return,
    }
    // Calls are small, and wait for one another.
    let _ = stream.set_nodelay(true);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CALLS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut served = pin!(served);
    let result = tokio::select! {
        result = &mut served => result,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            timeout(LEAVE_WITHIN, served).await.unwrap_or_else(|_| {
                metrics.hit(Hit::LeaveTime);
                Ok(())
            })
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection to the control plane failed");
    }
}

/// Waits until the version of HTTP can be told, which hyper would do without a limit in time; false when the peer leaves.
async fn has_begun(stream: &TcpStream) -> bool {
    let mut start = [0; PREFACE.len()];
    loop {
        match stream.peek(&mut start).await {
            Ok(0) | Err(_) => return false,
            Ok(n) if n == PREFACE.len() || start[..n] != PREFACE[..n] => return true,
            // Part of the preface: what is there already would be seen again at once.
            Ok(_) => sleep(PREFACE_PAUSE).await,
        }
    }
}
