//! What holds where a file says nothing.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

/// Minutes, because a stolen token opens sessions for that long.
pub const TOKEN_TTL: Duration = Duration::from_secs(10 * 60);
/// Hours, because a session outlives an outage of the control plane by at most that.
pub const SESSION_TTL: Duration = Duration::from_secs(12 * 3600);

/// The label of the page, gRPC and JWKS under the zone.
pub(crate) const PAGE_LABEL: &str = "adit";
/// The label of the edge's own name under the zone, and its id, where one machine is the whole provider.
pub(crate) const EDGE_LABEL: &str = "edge";
pub(crate) const REGION: &str = "default";
pub(crate) const NAMESPACE: &str = "/adit/";
pub(crate) const TCP_PORTS: RangeInclusive<u16> = 20000..=20099;
/// The ports of the protocols.
pub(crate) const HTTPS: u16 = 443;
pub(crate) const HTTP: u16 = 80;
pub(crate) const CONTROL: u16 = 4470;
pub(crate) const ADMIN: u16 = 4490;
/// Long enough for most requests, short enough for a deployment.
pub(crate) const DRAIN: Duration = Duration::from_secs(30);
/// For a machine of one or two GiB: an idle visitor's connection takes some 40 KiB with TLS, a session as much.
pub(crate) const VISITORS: u64 = 16_384;
pub(crate) const SESSIONS: u64 = 8192;
/// A thousand handshakes at a time keep many cores busy; one address gets what a site of some size needs.
pub(crate) const STRANGERS: u64 = 1024;
pub(crate) const STRANGERS_PER_ADDRESS: u64 = 64;
/// What the processes say beside warnings when nothing is configured.
pub(crate) const LEVEL: &str = "info";

pub(crate) fn everywhere(port: u16) -> Vec<SocketAddr> {
    hosts_everywhere()
        .into_iter()
        .map(|host| SocketAddr::new(host, port))
        .collect()
}

pub(crate) fn hosts_everywhere() -> Vec<IpAddr> {
    vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]
}

pub(crate) fn here(port: u16) -> Vec<SocketAddr> {
    vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)]
}
