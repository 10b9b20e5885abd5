//! What the three sharing commands have in common.

use std::net::SocketAddr;

use agent::TransportChoice;
use model::Kind;

use crate::cli::{ConnectArgs, HttpArgs, OriginArgs, ProviderArgs, TcpArgs, TlsArgs, Transport};

#[derive(Debug)]
pub(crate) struct ShareOptions {
    pub(crate) kind: Kind,
    /// None is the built-in welcome page.
    pub(crate) target: Option<String>,
    /// One label under the provider's zone, or a whole name.
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) origin: OriginArgs,
    pub(crate) provider: ProviderArgs,
    pub(crate) transport: Transport,
    pub(crate) admin_addr: Option<SocketAddr>,
    pub(crate) json: bool,
}

impl ShareOptions {
    fn new(kind: Kind, target: String, connect: ConnectArgs) -> Self {
        Self {
            kind,
            target: Some(target),
            host: None,
            port: None,
            origin: OriginArgs::default(),
            provider: connect.provider,
            transport: connect.transport,
            admin_addr: connect.admin_addr,
            json: connect.json,
        }
    }
}

impl From<HttpArgs> for ShareOptions {
    fn from(args: HttpArgs) -> Self {
        Self {
            host: args.host,
            origin: args.origin,
            ..Self::new(Kind::Http, args.target, args.connect)
        }
    }
}

impl From<TlsArgs> for ShareOptions {
    fn from(args: TlsArgs) -> Self {
        Self {
            host: args.host,
            ..Self::new(Kind::Tls, args.target, args.connect)
        }
    }
}

impl From<TcpArgs> for ShareOptions {
    fn from(args: TcpArgs) -> Self {
        Self {
            port: args.port,
            ..Self::new(Kind::Tcp, args.target, args.connect)
        }
    }
}

impl From<Transport> for TransportChoice {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Auto => Self::Auto,
            Transport::Quic => Self::Quic,
            Transport::Tcp => Self::Tcp,
        }
    }
}
