//! The kit as an edge that one agent may come to, and as its origin.

use std::{any::Any, net::SocketAddr, sync::Arc};

use model::Congestion;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tunnel::{
    Code, Stream, Transport, TransportError,
    mux::{self, Role},
    quic::{self, QuicTransport},
};

use super::{Invitation, Peer};
use crate::case::{Binding, Finding, Outcome, ensure, within};

const TOKEN: &str = "conformance";
/// Streams that an agent could open if it tried.
const STREAMS: u32 = 8;
/// Ports that are tried until one is free for both TCP and UDP.
const TRIES: u32 = 20;

pub(super) struct Host {
    pub(super) origin: TcpListener,
    pub(super) invitation: Invitation,
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    quic: Option<quinn::Endpoint>,
    _agent: Box<dyn Any + Send + Sync>,
}

/// A session's connection.
pub(super) enum Link {
    Quic(QuicTransport),
    Mux(mux::Connection),
}

impl Host {
    /// Listens, and starts the agent.
    pub(super) async fn start(peer: &Peer) -> Outcome<Self> {
        let origin = TcpListener::bind((peer.ip, 0)).await?;
        let made = rcgen::generate_simple_self_signed([peer.ip.to_string()]).map_err(told)?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(told)?;
        let tls = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .map_err(told)?;
        let (listener, quic) = sockets(peer, &tls).await?;
        let address = listener.local_addr()?;
        let invitation = Invitation {
            url: format!("https://{address}"),
            token: TOKEN.into(),
            origin: origin.local_addr()?.to_string(),
            ca: made.cert.pem(),
        };
        let agent = peer.agent.start(&invitation)?;
        Ok(Self {
            origin,
            invitation,
            listener,
            tls: Arc::new(tls),
            quic,
            _agent: agent,
        })
    }

    /// The agent's next connection over the binding that is tested.
    pub(super) async fn link(&self) -> Outcome<Link> {
        let Some(endpoint) = &self.quic else {
            let tls = self.upgraded().await?;
            let config = mux::Config {
                max_peer_streams: STREAMS,
                ..mux::Config::default()
            };
            return Ok(Link::Mux(mux::Connection::new(tls, Role::Server, config)));
        };
        let incoming = within("QUIC connection of the agent", endpoint.accept()).await?;
        let incoming = incoming.ok_or_else(|| Finding::Failed("the endpoint is closed".into()))?;
        let connection = within("QUIC handshake", incoming.into_future())
            .await?
            .map_err(told)?;
        connection.set_max_concurrent_bi_streams(STREAMS.into());
        Ok(Link::Quic(QuicTransport::new(connection)))
    }

    /// A connection on which the agent has been given the mux.
    pub(super) async fn upgraded(&self) -> Outcome<TlsStream<TcpStream>> {
        let (tcp, _) = within("TCP connection of the agent", self.listener.accept()).await??;
        tcp.set_nodelay(true)?;
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls));
        let mut tls = within("TLS handshake", acceptor.accept(tcp)).await??;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within("request for a tunnel", tls.read_u8()).await??);
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let asks = head.starts_with("get /.well-known/tunnel http/1.1\r\n")
            && head.contains("upgrade: adit-mux");
        ensure!(asks, "the agent asks for {head:?}");
        ensure!(!head.contains(TOKEN), "the token stands in the request");
        tls.write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: adit-mux\r\n\r\n",
        )
        .await?;
        tls.flush().await?;
        Ok(tls)
    }

    /// The agent's connection to the origin.
    pub(super) async fn dialled(&self) -> Outcome<TcpStream> {
        let (origin, _) = within("connection to the origin", self.origin.accept()).await??;
        origin.set_nodelay(true)?;
        Ok(origin)
    }
}

impl Link {
    pub(super) async fn open(&self) -> Outcome<Stream> {
        Ok(match self {
            Self::Quic(quic) => quic.open().await?,
            Self::Mux(mux) => mux.open().map_err(told)?.into(),
        })
    }

    pub(super) async fn accept(&self) -> Outcome<Stream> {
        Ok(match self {
            Self::Quic(quic) => quic.accept().await?,
            Self::Mux(mux) => mux.accept().await.map_err(told)?.into(),
        })
    }

    pub(super) fn close(&self, code: Code) {
        match self {
            Self::Quic(quic) => quic.close(code, ""),
            Self::Mux(mux) => mux.close(code),
        }
    }

    pub(super) async fn closed(&self) -> TransportError {
        match self {
            Self::Quic(quic) => quic.closed().await,
            Self::Mux(mux) => mux.closed().await.into(),
        }
    }
}

/// One port for both; over the mux UDP stays closed.
async fn sockets(
    peer: &Peer,
    tls: &ServerConfig,
) -> Outcome<(TcpListener, Option<quinn::Endpoint>)> {
    let mut tries = 0;
    loop {
        let listener = TcpListener::bind((peer.ip, 0)).await?;
        if peer.binding != Binding::Quic {
            return Ok((listener, None));
        }
        match endpoint(tls.clone(), listener.local_addr()?) {
            Ok(endpoint) => return Ok((listener, Some(endpoint))),
            // Another program has this port for UDP.
            Err(_) if tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

fn endpoint(tls: ServerConfig, address: SocketAddr) -> Outcome<quinn::Endpoint> {
    let config = quic::server_config(tls, Congestion::System).map_err(told)?;
    Ok(quinn::Endpoint::server(config, address)?)
}

pub(super) fn told(error: impl std::fmt::Display) -> Finding {
    Finding::Failed(error.to_string())
}
