//! What the three sharing commands and the tunnels of `adit run` have in common.

use std::net::SocketAddr;

use agent::TransportChoice;
use model::{Congestion, Kind, ProxyProtocol, Sharing};

use crate::cli::{
    ConnectArgs, HttpArgs, OriginArgs, ProviderArgs, TcpArgs, TlsArgs, Transport, UdpArgs,
};

/// One endpoint and its origin, from flags or from a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TunnelOptions {
    pub(crate) kind: Kind,
    /// None is the built-in welcome page.
    pub(crate) target: Option<String>,
    /// One label under the provider's zone, or a whole name.
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) sharing: Sharing,
    pub(crate) proxy_protocol: Option<ProxyProtocol>,
    pub(crate) origin: OriginArgs,
}

#[derive(Debug)]
pub(crate) struct ShareOptions {
    pub(crate) tunnel: TunnelOptions,
    pub(crate) provider: ProviderArgs,
    pub(crate) transport: Transport,
    pub(crate) congestion: Congestion,
    pub(crate) admin_addr: Option<SocketAddr>,
    pub(crate) json: bool,
}

impl ShareOptions {
    fn new(tunnel: TunnelOptions, connect: ConnectArgs) -> Self {
        Self {
            tunnel,
            provider: connect.provider,
            transport: connect.transport,
            congestion: connect.congestion,
            admin_addr: connect.admin_addr,
            json: connect.json,
        }
    }
}

impl TunnelOptions {
    pub(crate) fn new(kind: Kind, target: Option<String>) -> Self {
        Self {
            kind,
            target,
            host: None,
            port: None,
            sharing: Sharing::Exclusive,
            proxy_protocol: None,
            origin: OriginArgs::default(),
        }
    }
}

impl From<HttpArgs> for ShareOptions {
    fn from(args: HttpArgs) -> Self {
        let tunnel = TunnelOptions {
            host: args.host,
            origin: args.origin,
            sharing: sharing(args.connect.replicas),
            ..TunnelOptions::new(Kind::Http, Some(args.target))
        };
        Self::new(tunnel, args.connect)
    }
}

impl From<TlsArgs> for ShareOptions {
    fn from(args: TlsArgs) -> Self {
        let tunnel = TunnelOptions {
            host: args.host,
            sharing: sharing(args.connect.replicas),
            proxy_protocol: args.proxy_protocol,
            ..TunnelOptions::new(Kind::Tls, Some(args.target))
        };
        Self::new(tunnel, args.connect)
    }
}

impl From<TcpArgs> for ShareOptions {
    fn from(args: TcpArgs) -> Self {
        let tunnel = TunnelOptions {
            port: args.port,
            sharing: sharing(args.connect.replicas),
            proxy_protocol: args.proxy_protocol,
            ..TunnelOptions::new(Kind::Tcp, Some(args.target))
        };
        Self::new(tunnel, args.connect)
    }
}

impl From<UdpArgs> for ShareOptions {
    fn from(args: UdpArgs) -> Self {
        let tunnel = TunnelOptions {
            port: args.port,
            sharing: sharing(args.connect.replicas),
            proxy_protocol: args.proxy_protocol,
            ..TunnelOptions::new(Kind::Udp, Some(args.target))
        };
        Self::new(tunnel, args.connect)
    }
}

const fn sharing(replicas: bool) -> Sharing {
    if replicas {
        Sharing::Replicas
    } else {
        Sharing::Exclusive
    }
}

impl From<Transport> for TransportChoice {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Auto => Self::Auto,
            Transport::Quic => Self::Quic,
            Transport::Tcp => Self::Tcp,
            Transport::WebSocket => Self::WebSocket,
        }
    }
}
