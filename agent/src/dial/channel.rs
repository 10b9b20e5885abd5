//! A gRPC channel to a control plane that dials as everything here dials: `*.localhost` is this machine, TLS trusts the
//! given roots.

use std::{io, sync::Arc, time::Duration};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::{Channel, Endpoint};

use crate::origin::{Address, TargetError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// No call of ours does more than a few reads and one commit.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Finds out that a provider is gone before a call has to.
const KEEPALIVE: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    #[error("a provider is written https://host or http://host:port, not {0:?}")]
    Scheme(String),
    #[error(transparent)]
    Address(#[from] TargetError),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("{0}")]
    Uri(#[from] tonic::transport::Error),
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A channel to `server`, `http://host:port` or `https://host:port`. It connects when first used, and again when needed.
pub fn channel(server: &str, roots: RootCertStore) -> Result<Channel, ChannelError> {
    let wrong = || ChannelError::Scheme(server.chars().take(80).collect());
    let (scheme, rest) = server.split_once("://").ok_or_else(wrong)?;
    let (address, tls) = match scheme {
        "http" => (Address::parse(rest, 80)?, None),
        "https" => {
            let config = super::client_config(Arc::new(roots), &[b"h2"])?;
            (Address::parse(rest, 443)?, Some(config))
        }
        _ => return Err(wrong()),
    };
    // tonic refuses https where it does not do the TLS itself, so it is told of http.
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .timeout(CALL_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE);
    let dial = tower::service_fn(move |_: Uri| {
        let (address, tls) = (address.clone(), tls.clone());
        async move {
            let wire: Box<dyn Wire> = match tls {
                Some(config) => Box::new(
                    super::tls(&address.host, address.port, config, CONNECT_TIMEOUT).await?,
                ),
                None => Box::new(super::tcp(&address.host, address.port, CONNECT_TIMEOUT).await?),
            };
            Ok::<_, io::Error>(TokioIo::new(wire))
        }
    });
    Ok(endpoint.connect_with_connector_lazy(dial))
}
