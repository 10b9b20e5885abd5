//! `adit serve`, `adit control-plane`, `adit edge` and `adit config`.

use std::{net::SocketAddr, num::NonZeroUsize, ops::RangeInclusive, path::PathBuf};

use clap::ValueEnum;
use model::Hostname;

const SERVE_HELP: &str = "\
A zone is enough to start:
  adit serve --zone t.example.com

Point the zone and every name below it (*.t.example.com) at this machine. Ports 80 and 443 (TCP and UDP)
are listened on; the control plane is at https://adit.ZONE. The first start writes the administrator's
key to DATA_DIR/admin-credential.json.

A flag beats its environment variable, which beats the file. Print a file to begin with:
  adit config example serve > adit.toml
SIGHUP reads the certificates again; SIGTERM lets visits finish first.";

/// A command that runs for long and has a file: what a file is for, and what a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    #[value(alias = "agent")]
    Run,
    Serve,
    ControlPlane,
    Edge,
}

/// What the commands that run parts of a provider have in common.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ProcessArgs {
    /// Keep data here [default: /var/lib/adit for root, else the platform's state directory]
    #[arg(long, value_name = "DIR", env = "ADIT_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Where /live, /ready and /metrics are served; repeat it for more [default: 127.0.0.1:4490]
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "ADIT_ADMIN_ADDR",
        value_delimiter = ','
    )]
    pub(crate) admin_addr: Vec<SocketAddr>,

    /// How many threads carry visitors and sessions [default: one for each core]
    #[arg(long, value_name = "N", env = "ADIT_THREADS")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Print one JSON line when everything is bound, and one at the end (docs/cli.md)
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = SERVE_HELP)]
pub(crate) struct ServeArgs {
    /// The configuration (docs/configuration.md)
    #[arg(short, long, value_name = "FILE", env = "ADIT_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// The zone that names end in
    #[arg(long, value_name = "NAME", env = "ADIT_ZONE")]
    pub(crate) zone: Option<Hostname>,

    /// Where agents and HTTPS visitors connect, TCP and UDP; repeat it for more [default: port 443 everywhere]
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "ADIT_HTTPS_ADDR",
        value_delimiter = ','
    )]
    pub(crate) https_addr: Vec<SocketAddr>,

    /// Where HTTP visitors connect; repeat it for more [default: port 80 everywhere]
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "ADIT_HTTP_ADDR",
        value_delimiter = ','
    )]
    pub(crate) http_addr: Vec<SocketAddr>,

    /// Where the control plane listens, behind the edge [default: 127.0.0.1:4470]
    #[arg(long, value_name = "ADDR:PORT", env = "ADIT_CONTROL_ADDR")]
    pub(crate) control_addr: Option<SocketAddr>,

    /// Ports for shared TCP servers, or none [default: 20000-20099]
    #[arg(long, value_name = "FIRST-LAST", env = "ADIT_TCP_PORTS", value_parser = config::port_range)]
    pub(crate) tcp_ports: Option<RangeInclusive<u16>>,

    /// PEM file with a certificate and its chain, for *.ZONE; more of them stand in the configuration
    #[arg(
        long,
        value_name = "FILE",
        env = "ADIT_CERTIFICATE",
        requires = "certificate_key"
    )]
    pub(crate) certificate: Option<PathBuf>,

    /// PEM file with the key of --certificate
    #[arg(
        long,
        value_name = "FILE",
        env = "ADIT_CERTIFICATE_KEY",
        requires = "certificate"
    )]
    pub(crate) certificate_key: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) process: ProcessArgs,
}

/// `adit control-plane` and `adit edge`.
#[derive(Debug, clap::Args)]
pub(crate) struct RoleArgs {
    /// The configuration (docs/configuration.md)
    #[arg(short, long, value_name = "FILE", env = "ADIT_CONFIG")]
    pub(crate) config: PathBuf,

    #[command(flatten)]
    pub(crate) process: ProcessArgs,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say everything that is wrong with a file, and with what it names on this machine
    Check {
        file: PathBuf,

        /// The command that the file is for [default: what it looks like]
        #[arg(long, value_enum)]
        role: Option<RoleName>,

        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a complete file to begin with
    Example {
        #[arg(value_enum, default_value = "serve")]
        role: RoleName,
    },
}

impl RoleName {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Serve => "serve",
            Self::ControlPlane => "control-plane",
            Self::Edge => "edge",
        }
    }
}
