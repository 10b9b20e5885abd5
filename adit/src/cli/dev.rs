//! `adit dev`.

use std::{net::SocketAddr, num::NonZeroUsize, ops::RangeInclusive, path::PathBuf};

use model::{Hostname, Label};

use super::OriginArgs;

const AFTER_HELP: &str = "\
TARGET is a port (3000), host:port, http://, https:// or h2c:// URL, unix:PATH, or a directory
(./public). Without one, a welcome page is shared.

Names end in .localhost, which browsers and curl resolve to this machine by themselves
(RFC 6761), so no DNS is needed. Other commands on this machine find this provider:
  adit http 3001 --host api";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DevArgs {
    /// What to share; see below
    pub(crate) target: Option<String>,

    /// Keep the provider's data here [default: the platform's state directory, as in ~/.local/state/adit]
    #[arg(long, value_name = "DIR", env = "ADIT_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// The zone that names end in
    #[arg(
        long,
        value_name = "NAME",
        env = "ADIT_ZONE",
        default_value = "localhost"
    )]
    pub(crate) zone: Hostname,

    /// The first label of the name [default: pleasant words, the same ones for the same target]
    #[arg(long, value_name = "LABEL", env = "ADIT_HOST")]
    pub(crate) host: Option<Label>,

    /// Where agents and HTTPS visitors connect, TCP and UDP
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "ADIT_EDGE_ADDR",
        default_value = "127.0.0.1:4443"
    )]
    pub(crate) edge_addr: SocketAddr,

    /// Where HTTP visitors connect
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "ADIT_HTTP_ADDR",
        default_value = "127.0.0.1:4480"
    )]
    pub(crate) http_addr: SocketAddr,

    /// Where the control plane listens, web and gRPC on one port
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "ADIT_CONTROL_ADDR",
        default_value = "127.0.0.1:4470"
    )]
    pub(crate) control_addr: SocketAddr,

    /// Where /live, /ready and /metrics are served
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "ADIT_ADMIN_ADDR",
        default_value = "127.0.0.1:4490"
    )]
    pub(crate) admin_addr: SocketAddr,

    /// Ports for shared TCP servers
    #[arg(long, value_name = "FIRST-LAST", env = "ADIT_TCP_PORTS", default_value = "20000-20099", value_parser = port_range)]
    pub(crate) tcp_ports: RangeInclusive<u16>,

    /// How many threads carry visitors and sessions [default: one for each core]
    #[arg(long, value_name = "N", env = "ADIT_THREADS")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Put the development CA into this system's trust store first (may need root), so that browsers take its certificates
    #[arg(long)]
    pub(crate) trust: bool,

    #[command(flatten)]
    pub(crate) origin: OriginArgs,

    /// Print events as JSON lines (docs/cli.md)
    #[arg(long)]
    pub(crate) json: bool,
}

fn port_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(first..=last),
        _ => Err("a port range is written FIRST-LAST, as in 20000-20099".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        assert_eq!(port_range("20000-20099"), Ok(20000..=20099));
        assert_eq!(port_range("7"), Ok(7..=7));
        for bad in ["", "2-1", "0-5", "1-70000", "a-b"] {
            assert!(port_range(bad).is_err(), "{bad}");
        }
    }
}
