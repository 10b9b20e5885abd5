//! Connections to one bound endpoint's origin, kept for the next request. They are never shared between endpoints.

mod h1;
mod h2;
mod lease;
mod link;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use http::{Method, Request, Response, request::Parts};
use hyper::body::{Body, Incoming};
use model::HostPattern;
use tokio::time::{sleep_until, timeout};
use tunnel::{StreamHead, head::UNSPECIFIED, message::OriginProtocol, trace::SpanKind};

pub(super) use self::lease::Lease;
use self::{h1::IdleH1, h2::SharedH2, link::Link};
use super::{
    Endpoint, OriginError, OriginIo, body::RequestBody, meter::Meter, metrics::HttpMetrics,
    tasks::Tasks,
};
use crate::trace::Visiting;

/// How long a connection that was told to end may take for it.
const CLOSING: Duration = Duration::from_secs(1);

/// One per bound endpoint; its connections end with it.
#[derive(Default)]
pub struct Pool {
    shelf: Arc<Shelf>,
    opening: tokio::sync::Mutex<()>,
    tasks: Tasks,
}

/// Where connections wait for requests.
#[derive(Default)]
struct Shelf {
    h1: Mutex<Vec<IdleH1>>,
    h2: Mutex<Vec<SharedH2>>,
}

/// A request did not get an answer.
#[derive(Debug)]
pub(super) enum SendError {
    /// No stream, or the stream failed.
    Origin(OriginError),
    /// The origin said something that is not HTTP.
    Invalid(hyper::Error),
}

/// Where one request goes, and for whom.
pub(super) struct Errand<'a> {
    pub(super) endpoint: &'a dyn Endpoint,
    pub(super) metrics: &'a HttpMetrics,
    pub(super) visiting: &'a Visiting,
    pub(super) meter: &'a Arc<Meter>,
}

impl Errand<'_> {
    /// A new stream, which belongs to the trace of the request that it is opened for.
    async fn open(&self, mut head: StreamHead) -> Result<OriginIo, SendError> {
        let step = self.visiting.step("open stream", SpanKind::Client);
        head.unique_id = Some(step.context().unique_id());
        let opened = self.endpoint.open(head).await;
        step.finish(opened.as_ref().err().map(|error| error.as_str()));
        opened.map_err(SendError::Origin)
    }
}

/// What became of one attempt.
enum Attempt {
    Done(Response<Incoming>, Lease),
    /// The connection had ended before the origin can have seen the request.
    Stale(Request<RequestBody>),
    Failed(SendError),
}

impl Pool {
    /// Sends the request on a connection that is there, or on a new one. A connection that turns out to be stale costs one more attempt.
    pub(super) async fn send(
        &self,
        errand: &Errand<'_>,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        let terms = errand.endpoint.terms();
        let protocol = terms.protocol;
        if terms.one_request && protocol == OriginProtocol::H1 {
            return self.send_once(errand, request).await;
        }
        let (first, reused) = match protocol {
            OriginProtocol::H1 => self.send_h1(errand, request, true).await?,
            OriginProtocol::H2c => self.send_h2(errand, request).await?,
        };
        let request = match first {
            Attempt::Done(response, lease) => return Ok((response, lease)),
            Attempt::Failed(error) => return Err(error),
            Attempt::Stale(_) if !reused => return Err(SendError::Origin(OriginError::Aborted)),
            Attempt::Stale(request) => request,
        };
        errand.metrics.upstream_retried.inc();
        let (second, _) = match protocol {
            OriginProtocol::H1 => self.send_h1(errand, request, false).await?,
            OriginProtocol::H2c => self.send_h2(errand, request).await?,
        };
        match second {
            Attempt::Done(response, lease) => Ok((response, lease)),
            Attempt::Failed(error) => Err(error),
            Attempt::Stale(_) => Err(SendError::Origin(OriginError::Aborted)),
        }
    }

    /// Drives a connection to its end, and takes it off the shelf when it has had nothing to do for `idle`.
    fn drive<C>(&self, connection: C, link: Arc<Link>, idle: Duration)
    where
        C: Future<Output = hyper::Result<()>> + Send + 'static,
    {
        let shelf = Arc::downgrade(&self.shelf);
        self.tasks
            .spawner()
            .spawn(drive(connection, link, idle, shelf));
    }
}

impl Shelf {
    /// True when the connection had nothing to do and is off the shelf now.
    fn retire(&self, link: &Link, idle: Duration) -> bool {
        let (mut h1, mut h2) = (lock(&self.h1), lock(&self.h2));
        let retired = link.is_idle_for(idle);
        if retired {
            h1.retain(|kept| !kept.is(link));
            h2.retain(|kept| !kept.is(link));
        }
        retired
    }

    fn forget(&self, link: &Link) {
        lock(&self.h1).retain(|kept| !kept.is(link));
        lock(&self.h2).retain(|kept| !kept.is(link));
    }
}

async fn drive<C>(connection: C, link: Arc<Link>, idle: Duration, shelf: Weak<Shelf>)
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = std::pin::pin!(connection);
    loop {
        tokio::select! {
            biased;
            result = &mut connection => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a connection to an origin has failed");
                }
                break;
            }
            () = sleep_until(link.idle_deadline(idle)) => {
                if shelf.upgrade().is_some_and(|shelf| shelf.retire(&link, idle)) {
                    // Its last handle is gone, so it ends by itself, with a clean end of the stream.
                    if timeout(CLOSING, &mut connection).await.is_err() {
                        tracing::debug!("an idle connection to an origin did not end by itself");
                    }
                    return;
                }
            }
        }
    }
    if let Some(shelf) = shelf.upgrade() {
        shelf.forget(&link);
    }
}

/// The head of a stream that many visitors' requests will share: it names none of them.
fn shared_head(endpoint: &dyn Endpoint) -> StreamHead {
    let terms = endpoint.terms();
    let mut head = StreamHead::new(UNSPECIFIED, UNSPECIFIED, terms.bind);
    if let HostPattern::Exact(name) = &terms.pattern {
        head.authority = Some(name.to_string());
    }
    head
}

/// A copy for a second attempt, where the origin may even have seen the first (RFC 9110, section 9.2.2): safe and without a body.
fn copy_for_replay(request: &Request<RequestBody>) -> Option<Parts> {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let mut parts = Request::new(()).into_parts().0;
    (safe && request.body().is_end_stream()).then(|| {
        parts.method = request.method().clone();
        parts.uri = request.uri().clone();
        parts.headers = request.headers().clone();
        parts
    })
}

/// The shelf holds no invariants that a panic elsewhere could break.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("h1", &lock(&self.shelf.h1).len())
            .field("h2", &lock(&self.shelf.h2).len())
            .finish_non_exhaustive()
    }
}
