//! Connections that come through a load balancer begin with a header that says who the visitor is (the PROXY protocol). It is
//! read from the balancers that the configuration names, who must send it, and from nobody else, whose word it would be.

use std::net::IpAddr;

use model::Network;
use tokio::time::{Instant, timeout};
use tunnel::head::Announced;

use super::{Arrival, Front};
use crate::{
    bounds::PROXY_HEADER_WITHIN, connection::reset_when_closed, metrics::Hit, quiet::Quiet,
};

/// A balancer that was set up wrongly begins every connection so.
static NO_HEADER: Quiet = Quiet::new();

/// Whose connections begin with a header.
#[derive(Clone, Debug, Default)]
pub(crate) struct Balancers(Vec<Network>);

impl Balancers {
    pub(crate) const fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Front {
    /// The arrival as the visitor's own; none when it is to be closed. Boxed by whoever calls: few connections need it.
    pub(super) async fn introduced(&self, mut arrival: Arrival) -> Option<Arrival> {
        let reading = timeout(PROXY_HEADER_WITHIN, Announced::read(&mut arrival.stream));
        let error = match reading.await {
            Ok(Ok(announced)) => {
                if let Announced::Visitor {
                    source,
                    destination,
                } = announced
                {
                    (arrival.peer, arrival.local) = (source, destination);
                }
                return Some(arrival);
            }
            // A balancer that looks whether the port is open.
            Ok(Err(error)) if error.kind() != std::io::ErrorKind::InvalidData => return None,
            Ok(Err(error)) => {
                self.metrics.hit(Hit::ProxyHeader);
                error.to_string()
            }
            Err(_) => {
                self.metrics.hit(Hit::ProxyHeaderTime);
                "no header of the PROXY protocol came in time".to_owned()
            }
        };
        if let Some(left_out) = NO_HEADER.admits(Instant::now()) {
            tracing::warn!(balancer = %arrival.peer, %error, left_out, "a connection of a load balancer is refused");
        }
        reset_when_closed(&arrival.stream);
        None
    }

    pub(super) fn comes_by_balancer(&self, arrival: &Arrival) -> bool {
        self.balancers.contains(arrival.peer.ip())
    }
}
