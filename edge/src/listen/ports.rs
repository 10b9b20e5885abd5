//! `tcp` and `udp` endpoints: a socket on each claimed port of the edge's range, for as long as it is claimed.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    sync::Arc,
};

use model::Kind;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Front, OpenPorts, open_ports::Tried, tcp, udp};
use crate::bounds::PORT_RETRY;

/// Which ports are open. Dropping one closes it; connections that came by it go on, flows of datagrams do not.
struct Ports {
    front: Arc<Front>,
    hosts: Vec<IpAddr>,
    open: BTreeMap<(u16, Kind), DropGuard>,
}

/// Opens and closes ports as they are claimed and released, until the edge is leaving.
pub(crate) async fn follow(front: Arc<Front>, range: RangeInclusive<u16>, hosts: Vec<IpAddr>) {
    let leaving = front.stages.leaving.clone();
    let facts = front.desk.facts.clone();
    let mut changes = facts.changes();
    let mut ports = Ports {
        front,
        hosts,
        open: BTreeMap::new(),
    };
    let mut seen = None;
    loop {
        // Marked as seen before looking, so that a change meanwhile wakes again.
        changes.borrow_and_update();
        let (version, claimed) = facts.read(|follow| {
            let facts = follow.facts();
            let version = facts.ports_version();
            (
                version,
                (seen != Some(version)).then(|| facts.ports(&range)),
            )
        });
        if let Some(claimed) = claimed {
            ports.reconcile(&claimed);
            seen = Some(version);
        }
        match leaving.run_until_cancelled(changes.changed()).await {
            Some(Ok(())) => {}
            Some(Err(_)) | None => {
                // Listeners know by themselves that the edge is leaving, and flows have until its deadline.
                let open = std::mem::take(&mut ports.open);
                open.into_values().for_each(|port| _ = port.disarm());
                return;
            }
        }
    }
}

impl Ports {
    fn reconcile(&mut self, claimed: &BTreeMap<u16, Kind>) {
        self.open
            .retain(|(port, kind), _| claimed.get(port) == Some(kind));
        for (port, kind) in claimed {
            if !self.open.contains_key(&(*port, *kind)) {
                let guard = self.open_port(*port, *kind);
                self.open.insert((*port, *kind), guard);
            }
        }
    }

    fn open_port(&self, port: u16, kind: Kind) -> DropGuard {
        let closed = CancellationToken::new();
        for host in &self.hosts {
            let (front, closed) = (self.front.clone(), closed.clone());
            let address = SocketAddr::new(*host, port);
            let visitors = &self.front.stages.visitors;
            if kind == Kind::Udp {
                visitors.spawn(udp::listen(front, address, closed));
            } else {
                visitors.spawn(tcp::listen(front, address, closed));
            }
        }
        closed.drop_guard()
    }
}

/// Binds the address as soon as that can be done; none when the port is closed before. What comes with the socket is to be
/// kept for as long as it is.
pub(super) async fn bound<T>(
    front: &Front,
    address: SocketAddr,
    closed: &CancellationToken,
    bind: impl Fn(SocketAddr) -> io::Result<T>,
) -> Option<(T, Option<Tried>)> {
    let mut tried = None;
    let binding = async {
        let (mut pause, longest) = PORT_RETRY;
        loop {
            let bound = bind(address);
            if is_settled(&bound) {
                let ports = &front.desk.open_ports;
                tried.get_or_insert_with(|| OpenPorts::tried(ports, address.port()));
            }
            match bound {
                Ok(socket) => return socket,
                Err(error) => {
                    tracing::warn!(%address, %error, "a claimed port cannot be bound yet");
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    };
    let socket = tokio::select! {
        biased;
        () = front.stages.leaving.cancelled() => return None,
        () = closed.cancelled() => return None,
        socket = binding => socket,
    };
    Some((socket, tried))
}

/// Whether trying again will not make the port more open: it is, or this machine has no such address. Otherwise something
/// holds the port, as an outgoing connection does for a moment.
fn is_settled<T>(bound: &io::Result<T>) -> bool {
    match bound {
        Ok(_) => true,
        Err(error) => matches!(
            error.kind(),
            ErrorKind::AddrNotAvailable | ErrorKind::Unsupported
        ),
    }
}
