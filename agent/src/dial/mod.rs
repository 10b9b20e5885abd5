//! From a host and a port to a connected socket, for edges, the control plane and origins alike.

mod channel;
mod eyeballs;
mod location;
mod quic;
mod resolve;
mod tls;

use std::{io, net::SocketAddr, time::Duration};

use tokio::net::TcpStream;

pub use channel::{ChannelError, channel};
pub use location::{Location, LocationError};
pub(crate) use quic::{config as quic_config, connect as quic};
pub(crate) use resolve::resolve;
pub(crate) use tls::{client_config, connect as tls, connect_edge as edge};

/// TCP to whichever address of `host` answers first, without Nagle's delay.
pub async fn tcp(host: &str, port: u16, deadline: Duration) -> io::Result<TcpStream> {
    let dialling = async {
        let addresses = resolve(host, port).await?;
        let stream = eyeballs::first(addresses, TcpStream::connect).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    within(deadline, dialling).await
}

/// Whichever address of an edge connects first.
pub(crate) async fn first<T, F>(
    location: &Location,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let addresses = resolve(location.host(), location.port()).await?;
    eyeballs::first(addresses, connect).await
}

pub(crate) async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    tokio::time::timeout(deadline, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The address of any interface in the family of `peer`.
pub(crate) fn unspecified_like(peer: SocketAddr) -> SocketAddr {
    use std::net::{Ipv4Addr, Ipv6Addr};

    match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}
