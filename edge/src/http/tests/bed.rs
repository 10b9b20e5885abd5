//! An edge with nothing but its HTTP proxy, and the two ends of it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::{Hostname, Kind};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tunnel::{StreamHead, message::OriginProtocol};

use super::streams::{Failing, Resetting};
use crate::http::{
    AccessLog, Endpoint, HttpMetrics, Limits, OriginError, OriginIo, RouteError, Routes, Shared,
    Terms, TlsInfo, Visit, VisitorConnection, pool::Pool, serve,
};

/// Nothing here takes that long; a test that waits for what never comes must still end.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Where an endpoint's streams go.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Tcp(SocketAddr),
    Fails(OriginError),
    /// The stream opens, and fails at the first read, as it does when an agent answers with a status byte.
    FailsLate(OriginError),
}

#[derive(Debug)]
pub(super) struct TestEndpoint {
    terms: Terms,
    pool: Pool,
    target: Target,
    pub(super) opened: AtomicUsize,
    pub(super) heads: Mutex<Vec<StreamHead>>,
    pub(super) told: Mutex<Vec<tunnel::message::Visit>>,
}

impl TestEndpoint {
    pub(super) fn new(name: &str, target: Target) -> Self {
        let terms = Terms {
            pattern: name.parse().unwrap(),
            kind: Kind::Http,
            claim: Some("clm_test".parse().unwrap()),
            account: None,
            bind: 7,
            protocol: OriginProtocol::H1,
            host_header: None,
            one_request: false,
        };
        Self {
            terms,
            pool: Pool::default(),
            target,
            opened: AtomicUsize::new(0),
            heads: Mutex::default(),
            told: Mutex::default(),
        }
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Terms)) -> Self {
        change(&mut self.terms);
        self
    }

    pub(super) fn opened(&self) -> usize {
        self.opened.load(SeqCst)
    }
}

#[async_trait]
impl Endpoint for TestEndpoint {
    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn pool(&self) -> &Pool {
        &self.pool
    }

    async fn open(&self, head: StreamHead) -> Result<OriginIo, OriginError> {
        self.opened.fetch_add(1, SeqCst);
        self.heads.lock().unwrap().push(head);
        match self.target {
            Target::Tcp(addr) => {
                let stream = TcpStream::connect(addr)
                    .await
                    .map_err(|_| OriginError::Refused)?;
                Ok(Box::new(Resetting::from(stream)))
            }
            Target::Fails(error) => Err(error),
            Target::FailsLate(error) => Ok(Box::new(Failing(error))),
        }
    }

    fn visited(&self, visit: tunnel::message::Visit) {
        self.told.lock().unwrap().push(visit);
    }
}

#[derive(Debug, Default)]
struct TestRoutes(HashMap<Hostname, Result<Arc<TestEndpoint>, RouteError>>);

#[async_trait]
impl Routes for TestRoutes {
    async fn route(&self, name: &Hostname) -> Result<Arc<dyn Endpoint>, RouteError> {
        match self.0.get(name) {
            Some(Ok(endpoint)) => Ok(endpoint.clone()),
            Some(Err(error)) => Err(*error),
            None => Err(RouteError::Unknown),
        }
    }
}

#[derive(Debug)]
struct Log(mpsc::UnboundedSender<Visit>);

impl AccessLog for Log {
    fn visit(&self, visit: &Visit) {
        self.0.send(visit.clone()).ok();
    }
}

/// The edge of a test; what it runs ends with it.
pub(super) struct Bed {
    pub(super) addr: SocketAddr,
    pub(super) drain: CancellationToken,
    visits: mpsc::UnboundedReceiver<Visit>,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

pub(super) struct Builder {
    routes: TestRoutes,
    tls: Option<TlsInfo>,
    limits: Limits,
}

pub(super) fn bed() -> Builder {
    Builder {
        routes: TestRoutes::default(),
        tls: None,
        limits: Limits::default(),
    }
}

impl Builder {
    pub(super) fn endpoint(mut self, endpoint: &Arc<TestEndpoint>) -> Self {
        let name = endpoint.terms.pattern.base().clone();
        self.routes.0.insert(name, Ok(endpoint.clone()));
        self
    }

    pub(super) fn dead(mut self, name: &str, error: RouteError) -> Self {
        self.routes.0.insert(name.parse().unwrap(), Err(error));
        self
    }

    /// As if TLS had ended before the proxy.
    pub(super) fn tls(mut self, alpn: &str, covers: &[&str]) -> Self {
        self.tls = Some(TlsInfo {
            sni: None,
            alpn: Some(alpn.as_bytes().to_vec()),
            covers: covers.iter().map(|name| name.parse().unwrap()).collect(),
        });
        self
    }

    pub(super) fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    pub(super) async fn start(self) -> Bed {
        let (log, visits) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            routes: Arc::new(self.routes),
            access: Arc::new(Log(log)),
            metrics: HttpMetrics::default(),
            limits: self.limits,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let drain = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, self.tls, shared.clone(), drain.clone()));
        Bed {
            addr,
            drain,
            visits,
            shared,
            _tasks: tasks,
        }
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsInfo>,
    shared: Arc<Shared>,
    drain: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = listener.accept().await.unwrap();
        let visitor = VisitorConnection {
            peer,
            local: stream.local_addr().unwrap(),
            tls: tls.clone(),
        };
        connections.spawn(serve(stream, visitor, shared.clone(), drain.clone()));
    }
}

impl Bed {
    pub(super) async fn visitor(&self) -> Raw {
        Raw(TcpStream::connect(self.addr).await.unwrap())
    }

    /// Everything that comes back for `bytes`. The request must end the connection.
    pub(super) async fn ask(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut visitor = self.visitor().await;
        visitor.say(bytes).await;
        visitor.rest().await
    }

    pub(super) async fn h2(
        &self,
    ) -> hyper::client::conn::http2::SendRequest<BoxBody<Bytes, hyper::Error>> {
        let stream = TcpStream::connect(self.addr).await.unwrap();
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        sender
    }

    /// The next line of the access log.
    pub(super) async fn visit(&mut self) -> Visit {
        within(self.visits.recv()).await.unwrap()
    }

    /// Serves a connection that the test has made itself.
    pub(super) async fn serve<I>(&self, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let visitor = VisitorConnection {
            peer: self.addr,
            local: self.addr,
            tls: None,
        };
        serve(io, visitor, self.shared.clone(), self.drain.clone()).await;
    }

    pub(super) fn metrics(&self) -> &HttpMetrics {
        &self.shared.metrics
    }
}

/// One end of a connection, spoken by hand.
pub(super) struct Raw(pub(super) TcpStream);

impl Raw {
    pub(super) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads until `end` has come.
    pub(super) async fn until(&mut self, end: &str) -> String {
        let mut seen = Vec::new();
        while !seen.ends_with(end.as_bytes()) {
            match within(self.0.read_u8()).await {
                Ok(byte) => seen.push(byte),
                Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&seen)),
            }
        }
        String::from_utf8(seen).unwrap()
    }

    pub(super) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// All until the other side ends; a reset counts as an end.
    pub(super) async fn rest(&mut self) -> String {
        let mut seen = Vec::new();
        let _ = within(self.0.read_to_end(&mut seen)).await;
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// How the other side ends: true for a reset.
    pub(super) async fn is_reset(&mut self) -> bool {
        let mut seen = Vec::new();
        within(self.0.read_to_end(&mut seen)).await.is_err()
    }
}

/// An origin spoken by hand: the test accepts its connections.
pub(super) struct RawOrigin(TcpListener);

impl RawOrigin {
    pub(super) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(super) fn endpoint(&self) -> Arc<TestEndpoint> {
        Arc::new(TestEndpoint::new("a.example", self.target()))
    }

    pub(super) fn target(&self) -> Target {
        Target::Tcp(self.0.local_addr().unwrap())
    }

    pub(super) async fn accept(&self) -> Raw {
        Raw(within(self.0.accept()).await.unwrap().0)
    }
}

/// An origin that hyper speaks for, in HTTP/1.1 or h2c as it is asked.
pub(super) async fn origin<F, R>(answer: F) -> Target
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<BoxBody<Bytes, hyper::Error>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answer = answer(request);
                async move { Ok::<_, std::convert::Infallible>(answer.await) }
            });
            tokio::spawn(async move {
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Target::Tcp(addr)
}

pub(super) fn full(body: impl Into<Bytes>) -> BoxBody<Bytes, hyper::Error> {
    use http_body_util::BodyExt;
    http_body_util::Full::new(body.into())
        .map_err(|never| match never {})
        .boxed()
}

pub(super) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it takes too long")
}

/// A GET that ends its connection.
pub(super) fn get(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}
