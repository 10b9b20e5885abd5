//! An edge's configuration: what its file says, and what its provider told it.

use config::{EdgeSettings, HttpMode};
use edge::{Config, Joined, Limits, PlainHttp, PublicAddress, Reserved, ResetKey};

use super::listening::without_missing_ipv6;

pub(crate) fn edge_config(edge: &EdgeSettings, joined: &Joined, reset_key: ResetKey) -> Config {
    Config {
        id: edge.id.clone(),
        region: edge.region.clone(),
        names: edge.names.clone(),
        reserved: Some(Reserved {
            names: joined.reserved.clone(),
            to: joined.forward.clone(),
        }),
        tls: without_missing_ipv6(&edge.https),
        quic: (edge.quic != edge.https).then(|| without_missing_ipv6(&edge.quic)),
        http: without_missing_ipv6(&edge.http),
        plain_http: match edge.http_mode {
            HttpMode::Redirect => PlainHttp::Redirect,
            HttpMode::Serve => PlainHttp::Serve,
        },
        tcp_ports: tcp_ports(joined),
        tcp_hosts: edge.tcp_hosts.clone(),
        proxy_protocol_from: edge.proxy_protocol_from.clone(),
        public: PublicAddress {
            https_port: Some(edge.https_port),
            url: Some(edge.url.to_string()),
        },
        issuer: joined.issuer.clone(),
        audience: joined.audience.clone(),
        reset_key: Some(reset_key),
        snapshot: None,
        congestion: edge.congestion,
        limits: Limits {
            visitors: usize::try_from(edge.max_visitors).unwrap_or(usize::MAX),
            sessions: usize::try_from(edge.max_sessions).unwrap_or(usize::MAX),
            strangers: usize::try_from(edge.max_strangers).unwrap_or(usize::MAX),
            strangers_per_address: usize::try_from(edge.max_strangers_per_address)
                .unwrap_or(usize::MAX),
            drain: edge.drain,
            ..Limits::default()
        },
    }
}

#[allow(
    clippy::reversed_empty_ranges,
    reason = "that is how no port is written"
)]
const fn tcp_ports(joined: &Joined) -> std::ops::RangeInclusive<u16> {
    match (joined.first_tcp_port, joined.last_tcp_port) {
        (0, _) | (_, 0) => 1..=0,
        (first, last) => first..=last,
    }
}
