//! The kit as a visitor of the token's endpoints.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

use super::Peer;
use crate::case::{Finding, Outcome, failed, within};

pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// An answer over HTTP/1.1, as far as it came.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Peer {
    /// A visitor of the `tcp` endpoint that `welcome` says is bound.
    pub(super) async fn visit(&self, welcome: &Value) -> Outcome<TcpStream> {
        let address = self.port(bound(welcome, "tcp")?)?;
        let visitor = within("TCP connection", TcpStream::connect(address)).await??;
        visitor.set_nodelay(true)?;
        Ok(visitor)
    }

    /// A visitor of the `udp` endpoint.
    pub(super) async fn visit_udp(&self, welcome: &Value) -> Outcome<UdpSocket> {
        let address = self.port(bound(welcome, "udp")?)?;
        let unspecified: SocketAddr = match address {
            SocketAddr::V4(_) => ([0; 4], 0).into(),
            SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
        };
        let socket = UdpSocket::bind(unspecified).await?;
        socket.connect(address).await?;
        Ok(socket)
    }

    /// One request for `/` of the `http` endpoint, sent; and the address that it comes from.
    pub(super) async fn request(&self, welcome: &Value) -> Outcome<(Box<dyn Socket>, SocketAddr)> {
        let bound = bound(welcome, "http")?;
        let url = url_of(bound);
        let host = name_of(bound);
        let authority = url.as_ref().and_then(http::Uri::authority);
        let authority = authority.map_or_else(|| host.clone(), ToString::to_string);
        let tcp = self.visit_named(bound).await?;
        let own = tcp.local_addr()?;
        let mut visitor: Box<dyn Socket> = match url {
            Some(url) if url.scheme_str() == Some("http") => Box::new(tcp),
            _ => Box::new(self.tls_over(tcp, &host, &[b"http/1.1"]).await?),
        };
        let request = format!("GET / HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
        visitor.write_all(request.as_bytes()).await?;
        visitor.flush().await?;
        Ok((visitor, own))
    }

    /// A connection to where an endpoint with a name is visited: the port of its URL, else that of the edge.
    pub(super) async fn visit_named(&self, bound: &Value) -> Outcome<TcpStream> {
        let url = url_of(bound);
        let port = url.as_ref().and_then(http::Uri::port_u16);
        let usual = match url.as_ref().and_then(http::Uri::scheme_str) {
            Some("http") => 80,
            Some(_) => 443,
            None => self.edge.port,
        };
        let port = port.unwrap_or(usual);
        let address = SocketAddr::new(self.edge.address.ip(), port);
        Ok(within("TCP connection", TcpStream::connect(address)).await??)
    }

    fn port(&self, bound: &Value) -> Outcome<SocketAddr> {
        let port = bound["port"].as_u64().and_then(|port| port.try_into().ok());
        let port = port.ok_or_else(|| Finding::Failed(format!("no port in {bound}")))?;
        Ok(SocketAddr::new(self.edge.address.ip(), port))
    }
}

impl Answer {
    /// Reads to the end of the connection.
    pub(super) async fn read(visitor: &mut (impl AsyncRead + Unpin)) -> Outcome<Self> {
        let mut bytes = Vec::new();
        // However it ends: what counts is what came.
        let _ = within("end of the answer", visitor.read_to_end(&mut bytes)).await?;
        Self::parse(&bytes)
    }

    pub(super) fn parse(bytes: &[u8]) -> Outcome<Self> {
        let end = bytes.windows(4).position(|at| at == b"\r\n\r\n");
        let Some(end) = end else {
            let came = String::from_utf8_lossy(&bytes[..bytes.len().min(100)]).into_owned();
            return failed(format!("no answer over HTTP/1.1, but {came:?}"));
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Ok(Self {
            status: status.ok_or_else(|| Finding::Failed(format!("no status: {head}")))?,
            head: head.to_ascii_lowercase(),
            body: bytes[end + 4..].to_vec(),
        })
    }
}

/// What `welcome` says is bound of `kind`.
pub(super) fn bound<'a>(welcome: &'a Value, kind: &str) -> Outcome<&'a Value> {
    let all = welcome["bound"].as_array().into_iter().flatten();
    let mut of_kind = all.filter(|bound| bound["kind"] == kind);
    let found = of_kind.next();
    found.ok_or_else(|| Finding::NotTested(format!("the token grants no {kind} endpoint")))
}

/// A name that the bound covers.
pub(super) fn name_of(bound: &Value) -> String {
    let host = bound["host"].as_str().unwrap_or_default();
    host.replacen('*', "conformance", 1)
}

fn url_of(bound: &Value) -> Option<http::Uri> {
    bound["url"].as_str()?.parse().ok()
}
