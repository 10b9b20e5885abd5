//! A socket for datagrams on a claimed port, and the flows of its visitors. Nothing is sent to an address that has not
//! spoken first, and to none whose flow is over.

use std::{net::SocketAddr, sync::Arc};

use model::Kind;
use tokio::{
    net::UdpSocket,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{Front, ports, sockets};
use crate::{bounds::ACCEPT_PAUSE, connection::Visitor, flow::Carried, flows::Begun};

/// Binds the address as soon as that can be done, and takes datagrams until the port is closed.
pub(super) async fn listen(front: Arc<Front>, address: SocketAddr, closed: CancellationToken) {
    let bound = ports::bound(&front, address, &closed, sockets::datagrams).await;
    let Some((socket, _open)) = bound else {
        return;
    };
    tracing::info!(%address, "a port is open for datagrams");
    let leaving = front.stages.leaving.clone();
    let taking = Box::pin(take(&front, Arc::new(socket), &closed));
    tokio::select! {
        () = closed.cancelled() => {}
        () = leaving.cancelled() => {}
        () = taking => {}
    }
    tracing::info!(%address, "a port is closed for datagrams");
}

async fn take(front: &Arc<Front>, socket: Arc<UdpSocket>, closed: &CancellationToken) {
    let table = front.flows.table();
    // One for all flows of the socket.
    let mut buffer = vec![0; tunnel::datagram::MAX].into_boxed_slice();
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, visitor)) => {
                if let Some(flow) = table.take(visitor, &buffer[..length]) {
                    begin(front, &socket, flow, closed.clone());
                }
            }
            Err(error) => {
                front.metrics.accept_failures.inc();
                tracing::warn!(%error, "no datagram can be taken");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn begin(front: &Arc<Front>, socket: &Arc<UdpSocket>, flow: Begun, closed: CancellationToken) {
    let (front, cut) = (front.clone(), front.stages.cut.clone());
    let serving = Box::pin(serve(front.clone(), socket.clone(), flow));
    front.stages.visitors.spawn(async move {
        tokio::select! {
            () = cut.cancelled() => {}
            () = closed.cancelled() => {}
            () = serving => {}
        }
    });
}

async fn serve(front: Arc<Front>, socket: Arc<UdpSocket>, flow: Begun) {
    let started = Instant::now();
    let Ok(local) = socket.local_addr() else {
        return;
    };
    let visitor = Visitor {
        peer: flow.visitor,
        local,
        port: local.port(),
        kind: Kind::Udp,
        host: None,
    };
    let holding = Box::pin(front.router.port(local.port())).await;
    match holding {
        Ok(holding) => {
            let carried = Carried {
                socket,
                flow,
                visitor,
            };
            front.carrier.carry_flow(carried, &holding).await;
        }
        Err(_) => front.carrier.offline(&visitor, started.elapsed()),
    }
}
