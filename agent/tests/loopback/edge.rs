//! An edge of a few lines, over the server side of both bindings, whose every word a test chooses.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use agent::{Agent, AgentBuilder, Issued, TokenSource, TokenSourceError, TokenWhy};
use async_trait::async_trait;
use model::{Congestion, Kind, UnixTime};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use token::ProofKey;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;
use tunnel::{
    Code, ControlReader, ControlWriter, Limits, Secret, Stream, StreamHead, Transport,
    message::{AgentMessage, Bind, Bound, EdgeMessage, ErrorMessage, Hello, Welcome},
    quic::QuicTransport,
};

pub(crate) const NAME: &str = "edge.localhost";

/// A certificate for the edge's name that outlives restarts of the edge.
#[derive(Clone)]
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: Arc<PrivatePkcs8KeyDer<'static>>,
}

pub(crate) struct Edge {
    pub(crate) address: SocketAddr,
    sessions: mpsc::Receiver<Session>,
    endpoint: Option<quinn::Endpoint>,
    out: mpsc::Sender<Session>,
    silence: Option<AbortHandle>,
    /// Aborted when the edge is dropped, as everything that it serves.
    tasks: JoinSet<()>,
}

/// A transport whose hello was read and is not yet answered.
pub(crate) struct Session {
    pub(crate) hello: Hello,
    pub(crate) transport: Arc<dyn Transport>,
    reader: ControlReader<ReadHalf<Stream>>,
    writer: ControlWriter<WriteHalf<Stream>>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Udp {
    Quic,
    /// Takes packets and never answers.
    Silent,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        Self {
            certificate: made.cert.der().clone(),
            key: Arc::new(made.signing_key.serialize_der().into()),
        }
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }

    fn server_config(&self) -> ServerConfig {
        let key = PrivateKeyDer::Pkcs8(self.key.clone_key());
        ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .unwrap()
    }
}

impl Edge {
    pub(crate) async fn start(identity: &Identity, udp: Udp) -> Self {
        Self::start_at(identity, udp, (Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// At an address that an edge before it had.
    pub(crate) async fn start_at(identity: &Identity, udp: Udp, address: SocketAddr) -> Self {
        let (listener, socket) = sockets(address).await;
        let address = listener.local_addr().unwrap();
        let (out, sessions) = mpsc::channel(16);
        let mut tasks = JoinSet::new();
        let (endpoint, silence) = match udp {
            Udp::Quic => (Some(quic(identity, socket)), None),
            Udp::Silent => {
                let swallowing = tasks.spawn(async move {
                    let mut packet = [0; 2048];
                    while socket.recv(&mut packet).await.is_ok() {}
                });
                (None, Some(swallowing))
            }
        };
        if let Some(endpoint) = endpoint.clone() {
            tasks.spawn(serve_quic(endpoint, out.clone()));
        }
        let mut tls = identity.server_config();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls = TlsAcceptor::from(Arc::new(tls));
        tasks.spawn(serve_tcp(listener, tls, out.clone()));
        Self {
            address,
            sessions,
            endpoint,
            out,
            silence,
            tasks,
        }
    }

    /// UDP, which was silent, gets through.
    pub(crate) async fn open_udp(&mut self, identity: &Identity) {
        self.silence.take().unwrap().abort();
        while self.tasks.try_join_next().is_none() {
            tokio::task::yield_now().await;
        }
        let socket = UdpSocket::bind(self.address).await.unwrap();
        let endpoint = quic(identity, socket);
        self.endpoint = Some(endpoint.clone());
        self.tasks.spawn(serve_quic(endpoint, self.out.clone()));
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{NAME}:{}", self.address.port())
    }

    /// The next hello.
    pub(crate) async fn session(&mut self) -> Session {
        within(self.sessions.recv()).await.unwrap()
    }

    pub(crate) async fn welcomed(&mut self) -> Session {
        let mut session = self.session().await;
        session.welcome(Duration::from_secs(3600)).await;
        session
    }

    /// As a process that is killed: nothing is said any more.
    pub(crate) async fn kill(mut self) {
        self.tasks.shutdown().await;
        if let Some(endpoint) = self.endpoint.take() {
            endpoint.close(0_u32.into(), b"killed");
            endpoint.wait_idle().await;
        }
    }
}

async fn sockets(address: SocketAddr) -> (TcpListener, UdpSocket) {
    for _ in 0..100 {
        let listener = TcpListener::bind(address).await.unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
            return (listener, socket);
        }
        assert_eq!(address.port(), 0, "the UDP port is still taken");
    }
    panic!("no port is free for both TCP and UDP");
}

fn quic(identity: &Identity, socket: UdpSocket) -> quinn::Endpoint {
    let config = tunnel::quic::server_config(identity.server_config(), Congestion::System).unwrap();
    let socket = socket.into_std().unwrap();
    let runtime = Arc::new(quinn::TokioRuntime);
    quinn::Endpoint::new(
        quinn::EndpointConfig::default(),
        Some(config),
        socket,
        runtime,
    )
    .unwrap()
}

async fn serve_quic(endpoint: quinn::Endpoint, out: mpsc::Sender<Session>) {
    let mut tasks = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        let out = out.clone();
        tasks.spawn(async move {
            if let Ok(connection) = incoming.await {
                hello(Arc::new(QuicTransport::new(connection)), out).await;
            }
        });
    }
}

async fn serve_tcp(listener: TcpListener, tls: TlsAcceptor, out: mpsc::Sender<Session>) {
    let mut tasks = JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        let (tls, out) = (tls.clone(), out.clone());
        tasks.spawn(async move {
            if let Ok(tls) = tls.accept(tcp).await {
                crate::upgrade::serve(tls, out).await;
            }
        });
    }
}

pub(crate) async fn hello(transport: Arc<dyn Transport>, out: mpsc::Sender<Session>) {
    let Ok(stream) = transport.accept().await else {
        return;
    };
    let (reader, writer) = tokio::io::split(stream);
    let (mut reader, writer) = (ControlReader::new(reader), ControlWriter::new(writer));
    let Ok(Some(AgentMessage::Hello(hello))) = reader.next().await else {
        return;
    };
    let closed = Arc::clone(&transport);
    let session = Session {
        hello,
        transport,
        reader,
        writer,
    };
    if out.send(session).await.is_ok() {
        closed.closed().await;
    }
}

impl Session {
    pub(crate) async fn welcome(&mut self, lives: Duration) {
        let binds = self.hello.bind.clone().unwrap_or_default();
        self.transport.admit(8);
        let welcome = welcome(&binds, lives);
        self.say(EdgeMessage::Welcome(welcome)).await;
    }

    pub(crate) async fn refuse(&mut self, code: Code) {
        self.say(EdgeMessage::Error(ErrorMessage::new(
            code,
            "as the test says",
        )))
        .await;
    }

    pub(crate) async fn say(&mut self, message: EdgeMessage) {
        self.writer.send(&message).await.unwrap();
    }

    /// The next message of the agent; pings are answered on the way.
    pub(crate) async fn hear(&mut self) -> Option<AgentMessage> {
        loop {
            match within(self.reader.next()).await {
                Ok(Some(AgentMessage::Ping { n })) => self.say(EdgeMessage::Pong { n }).await,
                Ok(message) => return message,
                Err(_) => return None,
            }
        }
    }

    /// Opens a stream for a visitor, `first` being the first bytes; reads the status byte.
    pub(crate) async fn visit(&self, first: &[u8]) -> (u8, Stream) {
        let mut stream = self.transport.open().await.unwrap();
        let addresses = (
            SocketAddr::from(([192, 0, 2, 7], 1234)),
            SocketAddr::from(([192, 0, 2, 1], 443)),
        );
        let mut bytes = StreamHead::new(addresses.0, addresses.1, 1).encode();
        bytes.extend_from_slice(first);
        stream.write_all(&bytes).await.unwrap();
        stream.flush().await.unwrap();
        let status = within(stream.read_u8()).await.unwrap();
        (status, stream)
    }
}

fn welcome(binds: &[Bind], lives: Duration) -> Welcome {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let bound = binds.iter().map(|bind| Bound {
        id: bind.id,
        kind: bind.kind,
        url: bind.host.as_ref().map(|host| format!("https://{host}")),
        host: bind.host.clone(),
        port: bind.port,
    });
    Welcome {
        v: 1,
        session: format!("ses_{n}").parse().unwrap(),
        edge: "test".parse().unwrap(),
        bound: bound.collect(),
        session_exp: now().plus(lives),
        keepalive: Duration::from_secs(15),
        limits: Limits {
            streams: 400,
            flows: 0,
            ..Limits::default()
        },
        edges: Vec::new(),
        resume: Some(Secret::from(format!("resume {n}"))),
        datagrams: false,
        more: false,
    }
}

pub(crate) fn now() -> UnixTime {
    SystemTime::now().into()
}

pub(crate) fn bind() -> Vec<Bind> {
    vec![Bind {
        id: 1,
        host: Some("a.example".parse().unwrap()),
        port: None,
        kind: Kind::Http,
        proto: None,
        host_header: None,
    }]
}

/// A source of tokens `token 1`, `token 2`, …, that writes down why it was asked.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    pub(crate) issued: AtomicUsize,
    /// What it names as the edge, from its second token on.
    pub(crate) edge: Option<String>,
    pub(crate) asked: Mutex<Vec<TokenWhy>>,
    /// What its tokens are bound to.
    pub(crate) key: Option<Arc<ProofKey>>,
}

#[async_trait]
impl TokenSource for Tokens {
    async fn token(&self, why: TokenWhy) -> Result<Issued, TokenSourceError> {
        self.asked.lock().unwrap().push(why);
        let n = self.issued.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Issued {
            token: Secret::from(format!("token {n}")),
            locations: self.edge.iter().filter(|_| n > 1).cloned().collect(),
            expires: None,
            session_expires: None,
        })
    }

    fn key(&self) -> Option<Arc<ProofKey>> {
        self.key.clone()
    }
}

pub(crate) fn agent(identity: &Identity, edge: &Edge) -> AgentBuilder {
    Agent::builder()
        .locations([edge.url()])
        .roots(identity.roots())
        .tokens(Arc::new(Tokens::default()))
}

/// What a test waits for comes, or the test fails.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work)
        .await
        .expect("what the test waits for does not come")
}

/// An origin that serves each connection by `serve`.
pub(crate) async fn origin<F>(serve: impl Fn(usize, TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut tasks = JoinSet::new();
        for n in 0.. {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            tasks.spawn(serve(n, stream));
        }
    });
    address
}

pub(crate) async fn echo(mut stream: TcpStream) {
    let (mut read, mut write) = stream.split();
    let _ = tokio::io::copy(&mut read, &mut write).await;
    let _ = write.shutdown().await;
}
