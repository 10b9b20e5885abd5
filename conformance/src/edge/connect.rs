//! Connections to the edge that have said nothing yet.

use std::sync::Arc;

use model::Congestion;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tunnel::{Transport, quic, upgrade};

use super::Peer;
use crate::case::{Binding, Finding, Outcome, within};

/// A session's connection, and what must live as long.
pub(super) struct Connected {
    pub(super) transport: Arc<dyn Transport>,
    _endpoint: Option<quinn::Endpoint>,
}

impl Peer {
    pub(super) async fn connect(&self) -> Outcome<Connected> {
        if self.binding == Binding::Quic {
            let (endpoint, connection) = self.quic().await?;
            return Ok(Connected {
                transport: Arc::new(quic::QuicTransport::new(connection)),
                _endpoint: Some(endpoint),
            });
        }
        let tls = self.tls(&[b"http/1.1"]).await?;
        let authority = self.authority();
        let switching = upgrade::connect(tls, &authority, self.edge.address);
        let switched = within("answer to the upgrade", switching).await?;
        Ok(Connected {
            transport: Arc::new(switched.map_err(told)?),
            _endpoint: None,
        })
    }

    /// QUIC with the protocol's ALPN.
    pub(super) async fn quic(&self) -> Outcome<(quinn::Endpoint, quinn::Connection)> {
        let config = quic::client_config(self.client(&[quic::ALPN]), Congestion::System);
        let unspecified = match self.edge.address {
            std::net::SocketAddr::V4(_) => ([0; 4], 0).into(),
            std::net::SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
        };
        let endpoint = quinn::Endpoint::client(unspecified)?;
        let connecting = endpoint
            .connect_with(config.map_err(told)?, self.edge.address, &self.edge.host)
            .map_err(told)?;
        let connection = within("QUIC handshake", connecting).await?.map_err(told)?;
        Ok((endpoint, connection))
    }

    pub(super) async fn tls(&self, alpn: &[&[u8]]) -> Outcome<TlsStream<TcpStream>> {
        self.tls_as(&self.edge.host, alpn).await
    }

    /// TLS with the edge, for a name of its own or of an endpoint.
    pub(super) async fn tls_as(&self, name: &str, alpn: &[&[u8]]) -> Outcome<TlsStream<TcpStream>> {
        let tcp = within("TCP connection", TcpStream::connect(self.edge.address)).await??;
        tcp.set_nodelay(true)?;
        self.tls_over(tcp, name, alpn).await
    }

    pub(super) async fn tls_over(
        &self,
        tcp: TcpStream,
        name: &str,
        alpn: &[&[u8]],
    ) -> Outcome<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name.to_owned()).map_err(told)?;
        let connector = TlsConnector::from(Arc::new(self.client(alpn)));
        Ok(within("TLS handshake", connector.connect(name, tcp)).await??)
    }

    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.edge.host, self.edge.port)
    }

    pub(super) fn client(&self, alpn: &[&[u8]]) -> ClientConfig {
        let mut config = ClientConfig::builder()
            .with_root_certificates(self.edge.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config
    }
}

pub(super) fn told(error: impl std::fmt::Display) -> Finding {
    Finding::Failed(error.to_string())
}
