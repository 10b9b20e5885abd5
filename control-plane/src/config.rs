//! What a control plane must be told.

use std::{net::SocketAddr, ops::RangeInclusive, time::Duration};

use model::Hostname;

#[derive(Clone, Debug)]
pub struct Config {
    /// Where gRPC and web listen.
    pub listen: Vec<SocketAddr>,
    /// The `iss` of tokens: the URL of this control plane as the world sees it. None is the address it listens on, in the
    /// clear, which is what a provider on one machine wants.
    pub issuer: Option<String>,
    /// Names of one label stand below it.
    pub zone: Hostname,
    /// Names that nobody may claim: the edges' own, the provider's page.
    pub reserved: Vec<Hostname>,
    /// `host:port` at which edges elsewhere reach this control plane; none are the addresses that it listens on.
    pub forward: Vec<String>,
    /// Ports that may be claimed.
    pub tcp_ports: RangeInclusive<u16>,
    /// Listening ports of a provider on one machine, told to agents so that they do not share one of them.
    pub own_ports: Vec<u16>,
    /// Where visitors are served in the clear, told to agents so that they can show the URL.
    pub clear_http_port: Option<u16>,
    /// How long a token opens sessions, and the most that may be asked for.
    pub token_ttl: Duration,
    /// How long a session may live, and the most that may be asked for.
    pub session_ttl: Duration,
}

impl Config {
    /// Minutes, because a stolen token opens sessions for that long.
    pub const TOKEN_TTL: Duration = Duration::from_secs(10 * 60);
    /// Hours, because a session outlives an outage of the control plane by at most that.
    pub const SESSION_TTL: Duration = Duration::from_secs(12 * 3600);
}

/// The audience of this issuer's tokens: its edges.
pub(crate) fn audience(issuer: &str) -> String {
    format!("{}/edge", issuer.trim_end_matches('/'))
}

/// The audience of tokens for the control plane itself.
pub(crate) fn api_audience(issuer: &str) -> String {
    format!("{}/api", issuer.trim_end_matches('/'))
}
