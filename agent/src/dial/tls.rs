//! TLS to edges, the control plane and origins: one configuration, aws-lc-rs beneath it.

use std::{io, sync::Arc, time::Duration};

use model::Congestion;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::within;

pub(crate) fn client_config(
    roots: Arc<RootCertStore>,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(tunnel::tls::provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

/// TCP and TLS to `host`, which is also the name that its certificate must carry; both within `deadline`.
pub(crate) async fn connect(
    host: &str,
    port: u16,
    config: Arc<ClientConfig>,
    deadline: Duration,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    within(deadline, async {
        let tcp = super::tcp(host, port, deadline).await?;
        TlsConnector::from(config).connect(name, tcp).await
    })
    .await
}

/// The same to an edge, in the buffers of the tunnel.
pub(crate) async fn connect_edge(
    host: &str,
    port: u16,
    config: &ClientConfig,
    congestion: Congestion,
    deadline: Duration,
) -> io::Result<tunnel::tls::TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    within(deadline, async {
        let tcp = super::tcp(host, port, deadline).await?;
        tunnel::congestion::set(&tcp, congestion)?;
        tunnel::tls::connect(config, name, tcp).await
    })
    .await
}
