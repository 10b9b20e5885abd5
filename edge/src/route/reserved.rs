//! The provider's own names: the edge ends TLS and forwards HTTP and gRPC to the control plane's socket.

use async_trait::async_trait;
use model::{HostPattern, Hostname, Kind};
use tokio::{net::TcpStream, time::timeout};
use tunnel::{
    StreamHead,
    message::{OriginProtocol, Visit},
};

use crate::{
    bounds::RESERVED_CONNECT,
    http::{Endpoint, OriginError, OriginIo, Terms, pool::Pool},
    metrics::{Hit, Metrics},
};

#[derive(Debug)]
pub(super) struct ReservedEndpoint {
    terms: Terms,
    pool: Pool,
    to: Vec<String>,
    metrics: Metrics,
}

impl ReservedEndpoint {
    pub(super) fn new(name: Hostname, to: Vec<String>, metrics: Metrics) -> Self {
        let terms = Terms {
            pattern: HostPattern::Exact(name),
            kind: Kind::Http,
            claim: None,
            account: None,
            bind: 0,
            // gRPC needs it, and what else is there speaks it as well.
            protocol: OriginProtocol::H2c,
            host_header: None,
            one_request: false,
        };
        Self {
            terms,
            pool: Pool::default(),
            to,
            metrics,
        }
    }
}

#[async_trait]
impl Endpoint for ReservedEndpoint {
    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The head stays here: the control plane is told by header fields who is asking.
    async fn open(&self, _: StreamHead) -> Result<OriginIo, OriginError> {
        let mut failure = OriginError::Refused;
        for to in &self.to {
            match timeout(RESERVED_CONNECT, TcpStream::connect(to)).await {
                Ok(Ok(stream)) => {
                    // Only costs time when it fails.
                    let _ = stream.set_nodelay(true);
                    return Ok(Box::new(stream));
                }
                Ok(Err(error)) => {
                    tracing::warn!(%to, %error, "the control plane takes no connection")
                }
                Err(_) => {
                    self.metrics.hit(Hit::ReservedTime);
                    failure = OriginError::Timeout;
                }
            }
        }
        Err(failure)
    }

    fn visited(&self, _: Visit) {}
}
