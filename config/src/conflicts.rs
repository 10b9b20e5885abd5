//! Two listeners on one port, found before either is bound.

use std::{net::SocketAddr, ops::RangeInclusive};

use crate::{Common, ControlPlaneSettings, EdgeSettings, File, Problem, show_port_range};

/// Ports that are kept for what adit is going to speak there.
const KEPT: [(u16, &str); 2] = [(4422, "agents over SSH"), (53, "DNS")];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Udp,
}

#[derive(Clone, Debug)]
struct Listener {
    key: &'static str,
    protocol: Protocol,
    address: SocketAddr,
}

/// What one section listens on.
#[derive(Clone, Debug)]
pub(crate) struct Listeners {
    all: Vec<Listener>,
    ports: Option<RangeInclusive<u16>>,
}

fn listeners<'a>(
    key: &'static str,
    protocol: Protocol,
    addresses: &'a [SocketAddr],
) -> impl Iterator<Item = Listener> + use<'a> {
    addresses.iter().map(move |address| Listener {
        key,
        protocol,
        address: *address,
    })
}

pub(crate) fn of_edge(edge: &EdgeSettings, ports: &RangeInclusive<u16>) -> Listeners {
    let all = listeners("edge.https", Protocol::Tcp, &edge.https)
        .chain(listeners("edge.quic", Protocol::Udp, &edge.quic))
        .chain(listeners("edge.http", Protocol::Tcp, &edge.http));
    let served = !edge.tcp_hosts.is_empty() && ports.end() > ports.start();
    Listeners {
        all: all.collect(),
        ports: served.then(|| ports.clone()),
    }
}

pub(crate) fn of_control_plane(control: &ControlPlaneSettings) -> Listeners {
    Listeners {
        all: listeners("control-plane.listen", Protocol::Tcp, &control.listen).collect(),
        ports: None,
    }
}

pub(crate) fn of_common(common: &Common) -> Listeners {
    Listeners {
        all: listeners("admin.listen", Protocol::Tcp, &common.admin).collect(),
        ports: None,
    }
}

pub(crate) fn between(file: &File, sections: &[Listeners]) -> Vec<Problem> {
    let all: Vec<&Listener> = sections.iter().flat_map(|section| &section.all).collect();
    let mut problems = Vec::new();
    for (nth, one) in all.iter().enumerate() {
        let other = all[..nth].iter().find(|other| clash(one, other));
        if let Some(other) = other {
            let message = format!("{} is taken by {} already", one.address, other.key);
            let problem = file.places.problem(one.key, message);
            problems.push(problem.advise("give each listener a port of its own"));
        }
        if let Some((_, what)) = KEPT.iter().find(|(port, _)| *port == one.address.port()) {
            let message = format!("port {} is kept for {what}", one.address.port());
            problems.push(
                file.places
                    .problem(one.key, message)
                    .advise("choose another port"),
            );
        }
    }
    for ports in sections.iter().filter_map(|section| section.ports.clone()) {
        problems.extend(in_range(file, &ports, &all));
    }
    problems
}

fn in_range(file: &File, ports: &RangeInclusive<u16>, all: &[&Listener]) -> Vec<Problem> {
    let tcp = all
        .iter()
        .filter(|listener| listener.protocol == Protocol::Tcp);
    let taken = tcp.map(|listener| (listener.address.port(), listener.key));
    let kept = KEPT.iter().map(|(port, what)| (*port, *what));
    let inside = taken.chain(kept).filter(|(port, _)| ports.contains(port));
    let problem = |(port, what)| {
        let message = format!(
            "{} holds port {port}, which is for {what}",
            show_port_range(ports)
        );
        let problem = file.places.problem("control-plane.tcp_ports", message);
        problem.advise("choose a range without it")
    };
    inside.map(problem).collect()
}

fn clash(one: &Listener, other: &Listener) -> bool {
    let (a, b) = (one.address, other.address);
    one.protocol == other.protocol
        && a.port() == b.port()
        && a.port() != 0
        && a.is_ipv4() == b.is_ipv4()
        && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}
