//! An edge that is right but for one fault: ours, behind a proxy that opens TLS and lets the fault at what passes.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
};

use conformance::frame::{DATA, Frame};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Mutex,
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::{
    fault::{Ask, Does, Ends, Fault, Line, Request},
    seen::{Seen, Way, World},
};

/// The control stream.
const CONTROL: u32 = 1;

/// Certificate and key of the broken edges, for every name that the kit asks for.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

/// The edge behind the proxies.
#[derive(Clone)]
pub(crate) struct Behind {
    pub(crate) address: SocketAddr,
    pub(crate) name: String,
    pub(crate) roots: RootCertStore,
    /// Where the proxy connects from: an edge bounds what one address may do.
    pub(crate) from: Ipv4Addr,
}

/// Stops when it is dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

type Inner = server::TlsStream<TcpStream>;
type Outer = client::TlsStream<TcpStream>;

struct Connection {
    fault: Fault,
    seen: std::sync::Mutex<Seen>,
    up: Mutex<WriteHalf<Outer>>,
    down: Mutex<WriteHalf<Inner>>,
}

impl Identity {
    pub(crate) fn new(names: &[&str]) -> Self {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        Self {
            certificate: made.cert.der().clone(),
            key: made.signing_key.serialize_der(),
        }
    }

    pub(crate) fn server(&self, alpn: &[&[u8]]) -> ServerConfig {
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config
    }
}

impl Proxy {
    pub(crate) async fn start(
        identity: &Identity,
        behind: Behind,
        world: Arc<World>,
        fault: Fault,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = TlsAcceptor::from(Arc::new(identity.server(&[b"http/1.1"])));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (tls, behind, world) = (tls.clone(), behind.clone(), world.clone());
                connections.spawn(async move {
                    if let Ok(inner) = tls.accept(tcp).await {
                        // Whoever leaves early ends the connection; nothing is left to be told.
                        let _ = carry(inner, &behind, world, fault).await;
                    }
                });
            }
        });
        Self {
            address,
            _tasks: tasks,
        }
    }
}

async fn carry(
    mut inner: Inner,
    behind: &Behind,
    world: Arc<World>,
    fault: Fault,
) -> std::io::Result<()> {
    world.connections.fetch_add(1, Ordering::Relaxed);
    let seen = Seen::new(world);
    let head = http_head(&mut inner).await?;
    let request = Request {
        seen: &seen,
        head: &head,
        alpn: inner.get_ref().1.alpn_protocol().is_some(),
        own_name: inner
            .get_ref()
            .1
            .server_name()
            .is_none_or(|name| name == behind.name),
    };
    let (mut asked, mut change): (_, fn(String) -> String) = (head.clone(), |answer| answer);
    match (fault.ask)(&request) {
        Ask::Pass => {}
        Ask::Instead(other) => asked = other,
        Ask::Change(how) => change = how,
        Ask::Answer(status) => {
            let answer = format!("HTTP/1.1 {status} Told\r\ncontent-length: 0\r\n\r\n");
            inner.write_all(answer.as_bytes()).await?;
            return inner.shutdown().await;
        }
    }
    // The name of an endpoint is only asked for a tunnel that it must not give.
    let name = if request.own_name || asked != head {
        behind.name.clone()
    } else {
        inner
            .get_ref()
            .1
            .server_name()
            .unwrap_or_default()
            .to_owned()
    };
    let mut outer = connect(behind, name).await?;
    outer.write_all(asked.as_bytes()).await?;
    outer.flush().await?;
    let answer = http_head(&mut outer).await?;
    inner.write_all(change(answer.clone()).as_bytes()).await?;
    inner.flush().await?;
    if answer.starts_with("HTTP/1.1 101") && asked.contains("adit-mux") {
        frames(inner, outer, seen, fault).await
    } else {
        bytes(inner, outer, fault.ends).await
    }
}

async fn connect(behind: &Behind, name: String) -> std::io::Result<Outer> {
    let mut config = ClientConfig::builder()
        .with_root_certificates(behind.roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let socket = TcpSocket::new_v4()?;
    socket.bind((behind.from, 0).into())?;
    let tcp = socket.connect(behind.address).await?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from(name).map_err(std::io::Error::other)?;
    TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
}

async fn http_head<R: AsyncRead + Unpin>(from: &mut R) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await?);
    }
    String::from_utf8(head).map_err(std::io::Error::other)
}

async fn frames(inner: Inner, outer: Outer, seen: Seen, fault: Fault) -> std::io::Result<()> {
    let (from_agent, down) = tokio::io::split(inner);
    let (from_edge, up) = tokio::io::split(outer);
    let connection = Connection {
        fault,
        seen: std::sync::Mutex::new(seen),
        up: Mutex::new(up),
        down: Mutex::new(down),
    };
    tokio::select! {
        ended = connection.pass(Way::Up, from_agent) => ended,
        ended = connection.pass(Way::Down, from_edge) => ended,
    }?;
    if fault.ends == Ends::Late {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    // An end with `close_notify`, as it came.
    let _ = connection.down.lock().await.shutdown().await;
    connection.up.lock().await.shutdown().await
}

impl Connection {
    async fn pass<R: AsyncRead>(&self, way: Way, mut from: ReadHalf<R>) -> std::io::Result<()>
    where
        ReadHalf<R>: AsyncRead + Unpin,
    {
        while let Ok(mut frame) = Frame::read(&mut from).await {
            let does = {
                let mut seen = self.seen.lock().unwrap();
                seen.note(way, &frame);
                if frame.kind == DATA && frame.stream == CONTROL && !frame.body.is_empty() {
                    self.lines(&seen, way, &mut frame);
                    if frame.body.is_empty() && frame.flags & !1 == 0 {
                        continue;
                    }
                }
                (self.fault.frame)(&seen, way, &mut frame)
            };
            match does {
                Does::Pass => self.write(way, &frame).await?,
                Does::Drop => {}
                Does::Instead(others) => {
                    for (way, frame) in others {
                        self.write(way, &frame).await?;
                    }
                }
            }
        }
        Ok(())
    }

    fn lines(&self, seen: &Seen, way: Way, frame: &mut Frame) {
        let mut lines = Vec::with_capacity(frame.body.len());
        for line in frame.body.split_inclusive(|byte| *byte == b'\n') {
            let text = String::from_utf8_lossy(line);
            let value = serde_json::from_str(&text).unwrap_or(Value::Null);
            match (self.fault.line)(seen, way, &text, &value) {
                Line::Pass => lines.extend(line),
                Line::Drop => {}
                Line::Instead(other) => lines.extend(other.into_bytes()),
            }
        }
        frame.length = lines.len().try_into().unwrap();
        frame.body = lines;
    }

    async fn write(&self, way: Way, frame: &Frame) -> std::io::Result<()> {
        match way {
            Way::Up => frame.write(&mut *self.up.lock().await).await,
            Way::Down => frame.write(&mut *self.down.lock().await).await,
        }
    }
}

/// A connection without a mux.
async fn bytes(inner: Inner, outer: Outer, ends: Ends) -> std::io::Result<()> {
    let (mut from_agent, mut down) = tokio::io::split(inner);
    let (mut from_edge, mut up) = tokio::io::split(outer);
    let upwards = async {
        let came = copy(&mut from_agent, &mut up).await;
        if ends != Ends::CleanUp {
            came?;
        }
        up.shutdown().await
    };
    let downwards = async {
        copy(&mut from_edge, &mut down).await?;
        if ends == Ends::NotDown {
            std::future::pending::<()>().await;
        }
        down.shutdown().await
    };
    tokio::try_join!(upwards, downwards).map(drop)
}

/// Without a buffer that waits for more.
async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<()> {
    let mut buffer = vec![0; 16_384];
    loop {
        match from.read(&mut buffer).await? {
            0 => return Ok(()),
            length => to.write_all(&buffer[..length]).await?,
        }
        to.flush().await?;
    }
}
