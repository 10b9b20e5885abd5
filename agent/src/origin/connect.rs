//! One connection to an origin, soon or not at all.

use std::{io, path::Path, sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;
use tunnel::limits;

use super::Address;
use crate::dial;

/// The status byte waits for the origin and must reach the edge in time.
pub(crate) const CONNECT_TIMEOUT: Duration =
    limits::STATUS_WITHIN.saturating_sub(Duration::from_millis(500));

pub(crate) async fn tcp(address: &Address) -> io::Result<TcpStream> {
    dial::tcp(&address.host, address.port, CONNECT_TIMEOUT).await
}

pub(crate) async fn tls(
    address: &Address,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    dial::tls(&address.host, address.port, config, CONNECT_TIMEOUT).await
}

pub(crate) async fn unix(path: &Path) -> io::Result<UnixStream> {
    tokio::time::timeout(CONNECT_TIMEOUT, UnixStream::connect(path))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
