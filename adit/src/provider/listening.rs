//! Sockets that could not be bound: who holds them, and what can be done.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use super::holder;
use crate::failure::{Exit, Failure};

/// Ports that are for the system's own services where nothing else is said.
const PRIVILEGED: u16 = 1024;

/// `[::]` beside `0.0.0.0` is left out on a machine without IPv6, with a word about it.
pub(crate) fn without_missing_ipv6(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let everywhere: IpAddr = Ipv6Addr::UNSPECIFIED.into();
    let has_ipv4 = |port| addresses.contains(&SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
    let missing = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_err();
    let left_out = |addr: &SocketAddr| missing && addr.ip() == everywhere && has_ipv4(addr.port());
    for addr in addresses.iter().filter(|addr| left_out(addr)) {
        tracing::warn!("this machine has no IPv6: {addr} is not listened on");
    }
    addresses
        .iter()
        .filter(|addr| !left_out(addr))
        .copied()
        .collect()
}

pub(crate) fn control_plane(error: control_plane::BindError) -> Failure {
    match error {
        control_plane::BindError::Listen(address, error) => {
            refused(address, "control-plane.listen", &error)
        }
        other => Failure::new(
            Exit::Failed,
            format!("the control plane does not start: {other}"),
        ),
    }
}

pub(crate) fn edge(error: edge::BindError) -> Failure {
    match error {
        edge::BindError::Listen(address, error) => {
            refused(address, "edge.https, edge.quic, edge.http", &error)
        }
        edge::BindError::Certificate(error) => {
            Failure::new(Exit::Usage, format!("the edge's own name: {error}"))
                .advise("give certificates that cover edge.names")
        }
        other => Failure::new(Exit::Failed, format!("the edge does not start: {other}")),
    }
}

/// The error of a socket, with a way out.
pub(crate) fn refused(address: SocketAddr, key: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let who = holder::of(address).unwrap_or_else(|| "another process".into());
            Failure::new(Exit::InUse, format!("{address} ({key}) is held by {who}"))
                .advise("stop it, or choose another address")
        }
        io::ErrorKind::PermissionDenied if address.port() < PRIVILEGED => {
            let program = std::env::current_exe()
                .map_or_else(|_| "adit".into(), |path| path.display().to_string());
            Failure::new(
                Exit::Failed,
                format!("this user may not listen on {address} ({key}): ports below 1024 need a permission"),
            )
            .advise(format!("sudo setcap cap_net_bind_service=+ep {program}"))
            .advise("or under systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE")
        }
        io::ErrorKind::AddrNotAvailable => Failure::new(
            Exit::Usage,
            format!("{address} ({key}) is no address of this machine"),
        )
        .advise("bind 0.0.0.0, and say in edge.url how the world reaches this edge"),
        _ => Failure::new(
            Exit::Failed,
            format!("cannot listen on {address} ({key}): {error}"),
        ),
    }
}
