//! One look at an edge without a session: does it answer, how soon, and with which certificate.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use model::Congestion;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::TlsConnector;
use tunnel::{Code, Transport};

use crate::dial::{self, Location};

/// How long an edge may take to answer here. A look waits for less than a session does: somebody waits for all of them.
const REACH_WITHIN: Duration = Duration::from_secs(5);

/// How an edge was found to answer.
#[derive(Clone, Debug)]
pub struct Reached {
    /// The one of its addresses that answered first.
    pub address: SocketAddr,
    /// There and back on the path: TCP's own handshake, or what QUIC measured.
    pub round_trip: Duration,
    /// From the first packet until bytes can be sent.
    pub handshake: Duration,
    /// Its own certificate, which the roots vouch for.
    pub certificate: Option<CertificateDer<'static>>,
}

/// The addresses of a host, in the order in which they are tried.
pub async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    dial::within(REACH_WITHIN, dial::resolve(host, port)).await
}

/// TCP and TLS, as an agent's session begins where UDP does not get through. It serves for any HTTPS server.
pub async fn reach_tcp(location: &Location, roots: Arc<RootCertStore>) -> io::Result<Reached> {
    let config = dial::client_config(roots, &[b"h2", b"http/1.1"]).map_err(io::Error::other)?;
    let name = ServerName::try_from(location.host().to_owned()).map_err(io::Error::other)?;
    let begin = Instant::now();
    let looking = async {
        let (tcp, round_trip) = dial::first(location, async |address| {
            let begin = Instant::now();
            let tcp = TcpStream::connect(address).await?;
            Ok((tcp, begin.elapsed()))
        })
        .await?;
        let address = tcp.peer_addr()?;
        let tls = TlsConnector::from(config).connect(name, tcp).await?;
        let chain = tls.get_ref().1.peer_certificates();
        Ok(Reached {
            address,
            round_trip,
            handshake: begin.elapsed(),
            certificate: leaf(chain.unwrap_or_default()),
        })
    };
    dial::within(REACH_WITHIN, looking).await
}

/// A WebSocket at the tunnel's place, as a session begins where nothing else gets through; gives how long that took.
pub async fn reach_websocket(
    location: &Location,
    roots: Arc<RootCertStore>,
) -> io::Result<Duration> {
    let config = dial::client_config(roots, &[b"http/1.1"]).map_err(io::Error::other)?;
    let begin = Instant::now();
    let looking = async {
        let tls = dial::tls(location.host(), location.port(), config, REACH_WITHIN).await?;
        let peer = tls.get_ref().0.peer_addr()?;
        let upgraded = tunnel::websocket::connect(tls, &location.authority(), peer).await;
        let session = upgraded.map_err(io::Error::other)?;
        session.close(Code::Ok, "");
        Ok(begin.elapsed())
    };
    dial::within(REACH_WITHIN, looking).await
}

/// The handshake of QUIC, with the protocol of the tunnel.
pub async fn reach_quic(location: &Location, roots: Arc<RootCertStore>) -> io::Result<Reached> {
    let config = dial::quic_config(roots, Congestion::System).map_err(io::Error::other)?;
    let begin = Instant::now();
    let looking = async {
        let connection = dial::first(location, async |address| {
            let endpoint = quinn::Endpoint::client(dial::unspecified_like(address))?;
            let connecting = endpoint.connect_with(config.clone(), address, location.host());
            let connection = connecting.map_err(io::Error::other)?.await;
            connection.map_err(io::Error::other)
        })
        .await?;
        let chain = connection.peer_identity();
        let chain = chain.and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok());
        let reached = Reached {
            address: connection.remote_address(),
            round_trip: connection.rtt(),
            handshake: begin.elapsed(),
            certificate: chain.and_then(|chain| leaf(&chain)),
        };
        connection.close(0_u32.into(), b"");
        Ok(reached)
    };
    dial::within(REACH_WITHIN, looking).await
}

fn leaf(chain: &[CertificateDer<'_>]) -> Option<CertificateDer<'static>> {
    chain.first().map(|leaf| leaf.clone().into_owned())
}
