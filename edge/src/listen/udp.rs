//! A socket for datagrams on a claimed port, and the flows of its visitors. Nothing is sent to an address that has not
//! spoken first, and to none whose flow is over.

use std::{net::SocketAddr, sync::Arc};

use model::Kind;
use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{DatagramSocket, Front, ports};
use crate::{
    bounds::ACCEPT_PAUSE,
    connection::Visitor,
    flow::Carried,
    flows::{Begun, Ends},
};

/// One socket.
struct Port {
    front: Arc<Front>,
    socket: Arc<DatagramSocket>,
    closed: CancellationToken,
    flows: TaskTracker,
}

/// Binds the address as soon as that can be done, and takes datagrams until the port is closed. When the edge is leaving,
/// those who have a flow go on.
pub(super) async fn listen(front: Arc<Front>, address: SocketAddr, closed: CancellationToken) {
    let bound = ports::bound(&front, address, &closed, DatagramSocket::bind).await;
    let Some((socket, _open)) = bound else {
        return;
    };
    tracing::info!(%address, "a port is open for datagrams");
    let port = Port {
        front,
        socket: Arc::new(socket),
        closed,
        flows: TaskTracker::new(),
    };
    let stages = port.front.stages.clone();
    let taking = Box::pin(port.take(stages.leaving.clone()));
    tokio::select! {
        () = port.closed.cancelled() => {}
        () = stages.cut.cancelled() => {}
        () = taking => {}
    }
    tracing::info!(%address, "a port is closed for datagrams");
}

impl Port {
    async fn take(&self, leaving: CancellationToken) {
        // One for all flows of the socket.
        let mut buffer = vec![0; tunnel::datagram::MAX].into_boxed_slice();
        loop {
            let came = tokio::select! {
                biased;
                () = leaving.cancelled() => break,
                came = self.next(&mut buffer) => came,
            };
            let begun = came.and_then(|(length, ends)| {
                let flows = &self.front.flows;
                flows.take(ends, &buffer[..length], Instant::now())
            });
            if let Some(flow) = begun {
                self.begin(flow);
            }
        }
        self.flows.close();
        loop {
            tokio::select! {
                () = self.flows.wait() => return,
                came = self.next(&mut buffer) => {
                    if let Some((length, ends)) = came {
                        self.front.flows.take_known(ends, &buffer[..length]);
                    }
                }
            }
        }
    }

    /// None when nothing could be received.
    async fn next(&self, buffer: &mut [u8]) -> Option<(usize, Ends)> {
        match self.socket.receive(buffer).await {
            Ok(came) => Some(came),
            Err(error) => {
                self.front.metrics.accept_failures.inc();
                tracing::warn!(%error, "no datagram can be taken");
                sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }

    fn begin(&self, flow: Begun) {
        let (closed, cut) = (self.closed.clone(), self.front.stages.cut.clone());
        let gives_way = flow.gives_way.clone();
        let serving = Box::pin(serve(self.front.clone(), self.socket.clone(), flow));
        let counted = self.flows.token();
        self.front.stages.visitors.spawn(async move {
            let _counted = counted;
            tokio::select! {
                () = cut.cancelled() => {}
                () = closed.cancelled() => {}
                () = gives_way.cancelled() => {}
                () = serving => {}
            }
        });
    }
}

async fn serve(front: Arc<Front>, socket: Arc<DatagramSocket>, flow: Begun) {
    let started = Instant::now();
    let Ends { visitor, local } = flow.ends;
    let visitor = Visitor {
        peer: visitor,
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
                leaving: front.stages.leaving.clone(),
            };
            front.carrier.carry_flow(carried, &holding).await;
        }
        Err(_) => front.carrier.offline(&visitor, started.elapsed()),
    }
}
