//! Where visitors and agents come in. Each listener binds first, then accepts until it is told to stop.

mod balancer;
mod client_hello;
mod datagrams;
mod open_ports;
mod own;
mod plain;
pub(crate) mod ports;
pub(crate) mod quic;
mod replay;
pub(crate) mod sockets;
mod strangers;
mod tcp;
mod tls;
mod udp;

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use model::Congestion;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::client_hello::is_client_hello;
pub(crate) use self::{
    balancer::Balancers,
    datagrams::DatagramSocket,
    open_ports::OpenPorts,
    strangers::{Strangers, network},
};
use crate::{
    PlainHttp,
    bounds::ACCEPT_PAUSE,
    certificate::Certificates,
    connection::Carrier,
    flows::Flows,
    http,
    metrics::{Hit, Metrics},
    route::Router,
    session::{Desk, Singles},
};

/// What all listeners share.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) router: Arc<Router>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) singles: Arc<Singles>,
    pub(crate) certificates: Certificates,
    pub(crate) carrier: Carrier,
    pub(crate) http: Arc<http::Shared>,
    pub(crate) plain_http: PlainHttp,
    /// Of sockets that become agents'.
    pub(crate) congestion: Congestion,
    pub(crate) balancers: Balancers,
    pub(crate) visitors: Arc<Semaphore>,
    pub(crate) flows: Arc<Flows>,
    pub(crate) strangers: Arc<Strangers>,
    pub(crate) metrics: Metrics,
    pub(crate) stages: Stages,
}

/// The steps of stopping, and the tasks that they are for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stages {
    /// No new visitors; those who are there finish what they began.
    pub(crate) leaving: CancellationToken,
    /// Whatever is left is cut.
    pub(crate) cut: CancellationToken,
    pub(crate) visitors: TaskTracker,
    pub(crate) sessions: TaskTracker,
}

/// One of the visitors that may be here at a time.
#[derive(Debug)]
pub(crate) struct VisitorSlot {
    _permit: OwnedSemaphorePermit,
    metrics: Metrics,
}

/// Which listener a connection came in by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Door {
    Tls,
    Plain,
    Port,
}

impl Front {
    /// Accepts until the edge is leaving, or `closed` is cancelled.
    pub(crate) async fn accept(
        self: Arc<Self>,
        listener: TcpListener,
        door: Door,
        closed: CancellationToken,
    ) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stages.leaving.cancelled() => return,
                () = closed.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, door),
                Err(error) => {
                    self.metrics.accept_failures.inc();
                    tracing::warn!(%error, "a connection cannot be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, door: Door) {
        let Some(slot) = self.visitor() else {
            // Dropped at once: with as many visitors there is no memory for politeness.
            self.metrics.hit(Hit::Visitors);
            return;
        };
        let Ok(local) = stream.local_addr() else {
            return;
        };
        // Only costs time when it fails.
        let _ = stream.set_nodelay(true);
        let (front, cut) = (self.clone(), self.stages.cut.clone());
        let arrival = Arrival {
            stream,
            peer,
            local,
            port: local.port(),
            slot,
        };
        self.stages.visitors.spawn(async move {
            let serving = front.serve(arrival, door);
            cut.run_until_cancelled_owned(serving).await;
        });
    }

    /// Boxed one by one: a task is as large as the largest thing in it, and a carried connection needs a tenth of what HTTP
    /// needs.
    fn serve(
        self: Arc<Self>,
        arrival: Arrival,
        door: Door,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        if self.comes_by_balancer(&arrival) {
            return Box::pin(async move {
                if let Some(arrival) = Box::pin(self.introduced(arrival)).await {
                    self.serve_visitor(arrival, door).await;
                }
            });
        }
        self.serve_visitor(arrival, door)
    }

    fn serve_visitor(
        self: Arc<Self>,
        arrival: Arrival,
        door: Door,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match door {
            Door::Tls => Box::pin(tls::serve(self, arrival)),
            Door::Plain => Box::pin(plain::serve(self, arrival)),
            Door::Port => Box::pin(tcp::serve(self, arrival)),
        }
    }

    fn visitor(&self) -> Option<VisitorSlot> {
        let permit = self.visitors.clone().try_acquire_owned().ok()?;
        self.metrics.visitors.inc();
        Some(VisitorSlot {
            _permit: permit,
            metrics: self.metrics.clone(),
        })
    }
}

/// A connection that was just accepted.
#[derive(Debug)]
struct Arrival {
    stream: TcpStream,
    /// The visitor, and what he connected to: here, or at a load balancer that told of it.
    peer: SocketAddr,
    local: SocketAddr,
    /// The port of this machine that it came in by.
    port: u16,
    slot: VisitorSlot,
}

impl Drop for VisitorSlot {
    fn drop(&mut self) {
        self.metrics.visitors.dec();
    }
}
