//! A listener on a claimed port, and its visitors.

use std::{net::SocketAddr, sync::Arc};

use model::Kind;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Arrival, Door, Front, ports, sockets};
use crate::connection::{self, Carried, Visitor};

/// Binds the address as soon as that can be done, and accepts.
pub(super) async fn listen(front: Arc<Front>, address: SocketAddr, closed: CancellationToken) {
    let Some((listener, _open)) = ports::bound(&front, address, &closed, sockets::tcp).await else {
        return;
    };
    tracing::info!(%address, "a port is open");
    front.accept(listener, Door::Port, closed).await;
    tracing::info!(%address, "a port is closed");
}

/// A visitor of a port.
pub(super) async fn serve(front: Arc<Front>, arrival: Arrival) {
    let Arrival {
        stream,
        peer,
        local,
        port,
        slot: _slot,
    } = arrival;
    let started = Instant::now();
    let visitor = Visitor {
        peer,
        local,
        port,
        kind: Kind::Tcp,
        host: None,
    };
    let mut carried = Carried {
        stream,
        visitor,
        first: Vec::new(),
    };
    // Boxed, as it may wait and the connection then lives long.
    let holding = Box::pin(front.router.port(port)).await;
    match holding {
        Ok(holding) => front.carrier.carry(&mut carried, &holding).await,
        Err(_) => {
            front.carrier.offline(&carried.visitor, started.elapsed());
            connection::reset_when_closed(&carried.stream);
        }
    }
}
