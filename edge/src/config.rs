//! What an edge must be told.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use model::{Congestion, EdgeId, Hostname, Network, Region};

use crate::SnapshotConfig;

#[derive(Clone, Debug)]
pub struct Config {
    pub id: EdgeId,
    pub region: Region,
    /// The edge's own names, on which agents come; the first one stands in its fact.
    pub names: Vec<Hostname>,
    /// The provider's own names, where this edge forwards them.
    pub reserved: Option<Reserved>,
    /// TCP for TLS.
    pub tls: Vec<SocketAddr>,
    /// UDP for QUIC; none is the addresses of `tls`, where port 0 takes any port that is free for both.
    pub quic: Option<Vec<SocketAddr>>,
    /// TCP for HTTP in the clear.
    pub http: Vec<SocketAddr>,
    pub plain_http: PlainHttp,
    /// Ports that `tcp` endpoints may have here, and the addresses they are bound on.
    pub tcp_ports: RangeInclusive<u16>,
    pub tcp_hosts: Vec<IpAddr>,
    /// Load balancers: their connections begin with a header of the PROXY protocol.
    pub proxy_protocol_from: Vec<Network>,
    pub public: PublicAddress,
    /// Who must have issued a token, and for whom.
    pub issuer: String,
    pub audience: String,
    /// Kept over restarts, so that agents learn of one with their next packet; none makes a key for this start only.
    pub reset_key: Option<ResetKey>,
    /// A file to start from while the store is away; none keeps nothing.
    pub snapshot: Option<SnapshotConfig>,
    /// Of what agents are sent.
    pub congestion: Congestion,
    pub limits: Limits,
}

/// Signs QUIC's stateless resets (RFC 9000, section 10.3). Whoever has it can end sessions of agents, no more.
#[derive(Clone)]
pub struct ResetKey([u8; 32]);

impl ResetKey {
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ResetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetKey(…)")
    }
}

/// Names that are forwarded to the control plane, HTTP and gRPC alike.
#[derive(Clone, Debug)]
pub struct Reserved {
    pub names: Vec<Hostname>,
    /// `host:port` of each place where it listens, in the clear; the first that answers is taken.
    pub to: Vec<String>,
}

/// What becomes of a request in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHttp {
    Serve,
    /// To the same name and path with `https`.
    Redirect,
}

/// How the world reaches this edge, where that differs from the sockets (a load balancer, forwarded ports).
#[derive(Clone, Debug, Default)]
pub struct PublicAddress {
    /// The port in `https://` URLs; none is the port that TLS is bound on.
    pub https_port: Option<u16>,
    /// Where agents come: `https://host:port`; none is the first own name and the port above.
    pub url: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Visitors' connections.
    pub visitors: usize,
    /// Flows of datagrams: visitors of `udp` endpoints who were heard lately.
    pub flows: usize,
    /// Sessions.
    pub sessions: usize,
    /// Connections that may become sessions and have not said hello yet, in total and from one address.
    pub strangers: usize,
    pub strangers_per_address: usize,
    /// How long streams may go on after the edge was told to stop.
    pub drain: Duration,
    /// The times of visitors' HTTP.
    pub http: crate::http::Limits,
}

impl Default for Limits {
    /// For a machine of one or two GiB: an idle visitor's connection takes some 40 KiB with TLS, a session as much.
    fn default() -> Self {
        Self {
            visitors: 16_384,
            flows: 4_096,
            sessions: 8_192,
            strangers: 1_024,
            strangers_per_address: 64,
            drain: Duration::from_secs(30),
            http: crate::http::Limits::default(),
        }
    }
}
