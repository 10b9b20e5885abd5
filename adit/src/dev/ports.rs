//! Where the listeners of `adit dev` go: a default port that is taken moves to the next free one, one that was given
//! explicitly does not.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
};

use crate::failure::{Exit, Failure};

/// Ports tried after a default one that is taken; a machine with more of them in use has another problem.
const MOVES: u16 = 50;
/// Tries to find one free port number for every socket when any will do (port 0).
const ANY_PORT_TRIES: usize = 20;

/// What listens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sockets {
    Tcp,
    TcpAndUdp,
}

/// A listener as it was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) flag: &'static str,
    pub(crate) addr: SocketAddr,
    /// Given by flag or environment, and so not to be moved.
    pub(crate) explicit: bool,
    pub(crate) sockets: Sockets,
}

/// The addresses to bind, one port number on all of them, and whether the port moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) addrs: Vec<SocketAddr>,
    pub(crate) moved_from: Option<u16>,
}

impl Chosen {
    pub(crate) fn port(&self) -> u16 {
        self.addrs.first().map_or(0, SocketAddr::port)
    }
}

/// Finds free addresses. `taken` are ports that other listeners of this process will bind.
pub(crate) fn choose(wanted: Wanted, taken: &[u16]) -> Result<Chosen, Failure> {
    let port = wanted.addr.port();
    let hosts = hosts(wanted.addr.ip());
    if port == 0 {
        return any_port(wanted, &hosts, taken);
    }
    let last = if wanted.explicit {
        port
    } else {
        port.saturating_add(MOVES)
    };
    let mut first_error = None;
    for candidate in port..=last {
        if taken.contains(&candidate) {
            continue;
        }
        match probe(&hosts, candidate, wanted.sockets) {
            Ok(addrs) => {
                return Ok(Chosen {
                    addrs,
                    moved_from: (candidate != port).then_some(port),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                first_error = first_error.or(Some(error))
            }
            Err(error) => return Err(refused(wanted, &error)),
        }
    }
    let error = first_error.unwrap_or_else(|| io::ErrorKind::AddrInUse.into());
    Err(refused(wanted, &error))
}

/// Both loopback addresses where one was named: `localhost` resolves to either.
fn hosts(ip: IpAddr) -> Vec<IpAddr> {
    if ip == Ipv4Addr::LOCALHOST {
        vec![ip, Ipv6Addr::LOCALHOST.into()]
    } else {
        vec![ip]
    }
}

fn any_port(wanted: Wanted, hosts: &[IpAddr], taken: &[u16]) -> Result<Chosen, Failure> {
    let mut last_error = io::ErrorKind::AddrInUse.into();
    for _ in 0..ANY_PORT_TRIES {
        let found = TcpListener::bind(wanted.addr)
            .and_then(|listener| listener.local_addr())
            .and_then(|addr| probe(hosts, addr.port(), wanted.sockets));
        match found {
            Ok(addrs) if !taken.contains(&addrs[0].port()) => {
                return Ok(Chosen {
                    addrs,
                    moved_from: None,
                });
            }
            Ok(_) => {}
            Err(error) => last_error = error,
        }
    }
    Err(refused(wanted, &last_error))
}

/// The addresses of `hosts` on which `port` is free. IPv6 may be missing on a machine; the first host may not.
fn probe(hosts: &[IpAddr], port: u16, sockets: Sockets) -> io::Result<Vec<SocketAddr>> {
    let mut free = Vec::new();
    for (nth, &ip) in hosts.iter().enumerate() {
        let addr = SocketAddr::new(ip, port);
        match probe_one(addr, sockets) {
            Ok(()) => free.push(addr),
            Err(error) if nth > 0 && error.kind() != io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    Ok(free)
}

fn probe_one(addr: SocketAddr, sockets: Sockets) -> io::Result<()> {
    TcpListener::bind(addr)?;
    if sockets == Sockets::TcpAndUdp {
        UdpSocket::bind(addr)?;
    }
    Ok(())
}

fn refused(wanted: Wanted, error: &io::Error) -> Failure {
    let Wanted { flag, addr, .. } = wanted;
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            Failure::new(Exit::InUse, format!("{addr} is in use (--{flag})")).advise(format!(
                "choose another one:  --{flag} {}:0 takes any free port",
                host_text(addr.ip())
            ))
        }
        io::ErrorKind::PermissionDenied => Failure::new(
            Exit::Failed,
            format!("this user may not listen on {addr} (--{flag})"),
        )
        .advise("ports below 1024 need root or CAP_NET_BIND_SERVICE"),
        _ => Failure::new(
            Exit::Usage,
            format!("cannot listen on {addr} (--{flag}): {error}"),
        ),
    }
}

fn host_text(ip: IpAddr) -> String {
    if ip.is_ipv6() {
        format!("[{ip}]")
    } else {
        ip.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(port: u16, explicit: bool) -> Wanted {
        let addr = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        Wanted {
            flag: "edge-addr",
            addr,
            explicit,
            sockets: Sockets::TcpAndUdp,
        }
    }

    #[test]
    fn a_default_port_moves_and_an_explicit_one_does_not() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        let moved = choose(wanted(port, false), &[]).unwrap();
        assert_eq!(moved.moved_from, Some(port));
        assert!(moved.port() > port);
        let failure = choose(wanted(port, true), &[]).unwrap_err();
        assert_eq!(failure.exit(), Exit::InUse);
    }

    #[test]
    fn port_zero_finds_one_number_for_all_sockets() {
        let chosen = choose(wanted(0, true), &[]).unwrap();
        assert!(chosen.port() > 0 && chosen.addrs.iter().all(|addr| addr.port() == chosen.port()));
    }

    #[test]
    fn ports_of_other_listeners_are_left_alone() {
        let free = choose(wanted(0, false), &[]).unwrap().port();
        let other = choose(wanted(free, false), &[free]).unwrap();
        assert_ne!(other.port(), free);
    }
}
