//! `tcp` endpoints: a listener on each claimed port of the edge's range, for as long as it is claimed.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    sync::Arc,
};

use model::Kind;
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Arrival, Door, Front, OpenPorts, sockets};
use crate::{
    bounds::PORT_RETRY,
    connection::{self, Carried},
};

/// Which ports are open. Dropping one closes it; connections that came by it go on.
struct Ports {
    front: Arc<Front>,
    hosts: Vec<IpAddr>,
    open: BTreeMap<u16, DropGuard>,
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
                (seen != Some(version)).then(|| facts.tcp_ports(&range)),
            )
        });
        if let Some(claimed) = claimed {
            ports.reconcile(&claimed);
            seen = Some(version);
        }
        match leaving.run_until_cancelled(changes.changed()).await {
            Some(Ok(())) => {}
            Some(Err(_)) | None => return,
        }
    }
}

/// A visitor of a port.
pub(super) async fn serve(front: Arc<Front>, arrival: Arrival) {
    let Arrival {
        stream,
        peer,
        local,
        slot: _slot,
    } = arrival;
    let started = Instant::now();
    let mut carried = Carried {
        stream,
        peer,
        local,
        kind: Kind::Tcp,
        host: None,
        first: Vec::new(),
    };
    // Boxed, as it may wait and the connection then lives long.
    let holding = Box::pin(front.router.port(local.port())).await;
    match holding {
        Ok(holding) => front.carrier.carry(&mut carried, &holding).await,
        Err(_) => {
            front.carrier.offline(&carried, started.elapsed());
            connection::reset_when_closed(&carried.stream);
        }
    }
}

impl Ports {
    fn reconcile(&mut self, claimed: &BTreeSet<u16>) {
        self.open.retain(|port, _| claimed.contains(port));
        for port in claimed {
            if !self.open.contains_key(port) {
                let guard = self.open_port(*port);
                self.open.insert(*port, guard);
            }
        }
    }

    fn open_port(&self, port: u16) -> DropGuard {
        let closed = CancellationToken::new();
        for host in &self.hosts {
            let (front, closed) = (self.front.clone(), closed.clone());
            let address = SocketAddr::new(*host, port);
            self.front
                .stages
                .visitors
                .spawn(listen(front, address, closed));
        }
        closed.drop_guard()
    }
}

/// Binds the address as soon as that can be done, and accepts.
async fn listen(front: Arc<Front>, address: SocketAddr, closed: CancellationToken) {
    let leaving = front.stages.leaving.clone();
    // Until this task is over.
    let mut tried = None;
    let binding = async {
        let (mut pause, longest) = PORT_RETRY;
        loop {
            let bound = sockets::tcp(address);
            if is_settled(&bound) {
                let ports = &front.desk.open_ports;
                tried.get_or_insert_with(|| OpenPorts::tried(ports, address.port()));
            }
            match bound {
                Ok(listener) => return listener,
                Err(error) => {
                    tracing::warn!(%address, %error, "a claimed port cannot be bound yet")
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    };
    let listener = tokio::select! {
        biased;
        () = leaving.cancelled() => return,
        () = closed.cancelled() => return,
        listener = binding => listener,
    };
    tracing::info!(%address, "a port is open");
    front.accept(listener, Door::Port, closed).await;
    tracing::info!(%address, "a port is closed");
}

/// Whether trying again will not make the port more open: it is, or this machine has no such address. Otherwise something
/// holds the port, as an outgoing connection does for a moment.
fn is_settled(bound: &io::Result<TcpListener>) -> bool {
    match bound {
        Ok(_) => true,
        Err(error) => matches!(
            error.kind(),
            ErrorKind::AddrNotAvailable | ErrorKind::Unsupported
        ),
    }
}
