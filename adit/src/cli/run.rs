//! `adit run`.

use std::{net::SocketAddr, path::PathBuf};

use super::ProviderArgs;

const AFTER_HELP: &str = "\
The file is read again when it changes, and on SIGHUP. Tunnels that did not change are not
touched: their sessions and open connections go on. A file with a mistake in it changes nothing.

A tunnel that cannot be had now (its name is taken) is tried again; the others do not wait for it.
The command ends by itself only when nothing in the file can ever work (exit 2, 3 or 4), or when
another session took over (exit 8).

Examples:
  adit config example run > adit.toml
  adit config check adit.toml
  adit service install run -c /etc/adit/adit.toml";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RunArgs {
    /// The file with the tunnels (adit config example run)
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "ADIT_CONFIG",
        default_value = "adit.toml"
    )]
    pub(crate) config: PathBuf,

    /// Say what is wrong with the file, as adit config check does, and start nothing
    #[arg(long)]
    pub(crate) check: bool,

    /// Print a file with every setting, as adit config example run does
    #[arg(long, conflicts_with = "check")]
    pub(crate) example: bool,

    /// Serve /live, /ready and /metrics here
    #[arg(long, value_name = "ADDR:PORT", env = "ADIT_ADMIN_ADDR")]
    pub(crate) admin_addr: Option<SocketAddr>,

    /// Print events as JSON lines (docs/cli.md)
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) provider: ProviderArgs,
}
