//! Sockets, bound the way an edge wants them.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::bounds::{ANY_PORT_TRIES, BACKLOG, UDP_BUFFER};

/// Connections that are still going down from the last run do not keep the port, and IPv6 leaves IPv4 alone, so that one
/// port can be bound on both.
pub(crate) fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

/// TCP and UDP on one port number. Port 0 takes one that is free for both.
pub(crate) fn tcp_and_udp(address: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    let tries = if address.port() == 0 {
        ANY_PORT_TRIES
    } else {
        1
    };
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..tries {
        let listener = tcp(address)?;
        match udp(listener.local_addr()?) {
            Ok(socket) => return Ok((listener, socket)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

pub(crate) fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
    // Less, where the system allows less, makes agents come back later, but they come.
    if let Err(error) = socket.set_recv_buffer_size(UDP_BUFFER) {
        tracing::debug!(%error, "the buffer of a UDP socket stays as it is");
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_udp_socket_holds_more_than_the_system_gives_by_itself() {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let usual = UdpSocket::bind(here).unwrap();
        let size = |socket: &UdpSocket| socket2::SockRef::from(socket).recv_buffer_size().unwrap();
        assert!(size(&udp(here).unwrap()) > size(&usual));
    }
}
