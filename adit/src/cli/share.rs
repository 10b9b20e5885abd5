//! `adit http`, `adit tls`, `adit tcp`, `adit udp`.

use std::{net::SocketAddr, path::PathBuf};

use clap::ValueEnum;
use model::{Congestion, ProxyProtocol};
use serde::Deserialize;

const HOST_HELP: &str =
    "One label for a name under the provider's zone, or a whole name of your own";

/// How the edge is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// QUIC where UDP works, TCP where it does not, a WebSocket where nothing else gets through
    #[default]
    Auto,
    Quic,
    Tcp,
    #[value(name = "websocket")]
    WebSocket,
}

/// Where the provider is and how to talk to it.
#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
pub(crate) struct ProviderArgs {
    /// The provider's control plane [default: the one of `adit login`, else the `adit dev` of this machine]
    #[arg(long, value_name = "URL", env = "ADIT_SERVER", global = true)]
    pub(crate) server: Option<String>,

    /// Read a token from FILE, or from standard input if FILE is -; ADIT_TOKEN holds one as well
    #[arg(long, value_name = "FILE", env = "ADIT_TOKEN_FILE", global = true)]
    pub(crate) token_file: Option<PathBuf>,

    /// Read an agent's credential from FILE, or from standard input if FILE is -; ADIT_CREDENTIAL holds one as well
    #[arg(
        long,
        value_name = "FILE",
        env = "ADIT_CREDENTIAL_FILE",
        global = true,
        conflicts_with = "token_file"
    )]
    pub(crate) credential_file: Option<PathBuf>,

    /// PEM file with the CA of the provider, if it is not one that this system trusts
    #[arg(long, value_name = "FILE", env = "ADIT_CA", global = true)]
    pub(crate) ca: Option<PathBuf>,

    /// The data directory of the `adit dev` whose credential is used
    #[arg(long, value_name = "DIR", env = "ADIT_DATA_DIR", global = true)]
    pub(crate) data_dir: Option<PathBuf>,
}

/// How the origin is spoken to.
#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
pub(crate) struct OriginArgs {
    /// What the origin sees as Host: `visitor` (the public name), `origin` (its own address) or a name
    #[arg(long, value_name = "origin|visitor|VALUE", env = "ADIT_HOST_HEADER")]
    pub(crate) host_header: Option<String>,

    /// PEM file with the CA of an https:// origin
    #[arg(long, value_name = "FILE", env = "ADIT_ORIGIN_CA")]
    pub(crate) origin_ca: Option<PathBuf>,

    /// Take any certificate of an https:// origin
    #[arg(long, env = "ADIT_ORIGIN_INSECURE", conflicts_with = "origin_ca")]
    pub(crate) origin_insecure: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    pub(crate) provider: ProviderArgs,

    /// How to reach the edge
    #[arg(long, value_enum, default_value_t, env = "ADIT_TRANSPORT")]
    pub(crate) transport: Transport,

    /// Congestion control of what is sent to the edge: system, cubic, bbr or reno
    #[arg(
        long,
        value_name = "NAME",
        default_value_t,
        env = "ADIT_CONGESTION",
        hide_default_value = true
    )]
    pub(crate) congestion: Congestion,

    /// Serve /live, /ready and /metrics of the agent here
    #[arg(long, value_name = "ADDR:PORT", env = "ADIT_ADMIN_ADDR")]
    pub(crate) admin_addr: Option<SocketAddr>,

    /// Let several agents share the endpoint; counts when it is claimed for the first time
    #[arg(long, env = "ADIT_REPLICAS")]
    pub(crate) replicas: bool,

    /// Print events as JSON lines (docs/cli.md)
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct HttpArgs {
    /// A port (3000), host:port, http://, https:// or h2c:// URL, unix:PATH, or a directory
    pub(crate) target: String,

    #[arg(long, value_name = "LABEL|NAME", env = "ADIT_HOST", help = HOST_HELP)]
    pub(crate) host: Option<String>,

    #[command(flatten)]
    pub(crate) origin: OriginArgs,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TlsArgs {
    /// A port (8443), host:port or unix:PATH where a TLS server listens
    pub(crate) target: String,

    #[arg(long, value_name = "LABEL|NAME", env = "ADIT_HOST", help = HOST_HELP)]
    pub(crate) host: Option<String>,

    /// Tell the origin who visits, in a PROXY protocol header before the first byte
    #[arg(long, value_name = "v1|v2", env = "ADIT_PROXY_PROTOCOL")]
    pub(crate) proxy_protocol: Option<ProxyProtocol>,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TcpArgs {
    /// A port (5432), host:port or unix:PATH
    pub(crate) target: String,

    /// The provider's port that visitors connect to [default: a free one, the same for the same target]
    #[arg(long, value_name = "N", env = "ADIT_PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,

    /// Tell the origin who visits, in a PROXY protocol header before the first byte
    #[arg(long, value_name = "v1|v2", env = "ADIT_PROXY_PROTOCOL")]
    pub(crate) proxy_protocol: Option<ProxyProtocol>,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UdpArgs {
    /// A port (5353) or host:port
    pub(crate) target: String,

    /// The provider's port that visitors send to [default: a free one, the same for the same target]
    #[arg(long, value_name = "N", env = "ADIT_PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,

    /// Tell the origin who visits, in a PROXY protocol header before each datagram (v2)
    #[arg(long, value_name = "v2", env = "ADIT_PROXY_PROTOCOL")]
    pub(crate) proxy_protocol: Option<ProxyProtocol>,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}
