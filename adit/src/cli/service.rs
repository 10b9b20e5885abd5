//! `adit service …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::RoleName;

const AFTER_HELP: &str = "\
The unit runs as a user of its own that exists only while it runs (DynamicUser), so the files that
it reads must be readable by all; a secret is handed over by --credential, which systemd reads as
root, and the service finds in /run/credentials/adit-ROLE.service/. Its state is in /var/lib/adit
(control-plane and edge: /var/lib/adit-ROLE).

Examples:
  adit service install run -c /etc/adit/adit.toml --dry-run
  sudo adit service install run -c /etc/adit/adit.toml --credential /etc/adit/credentials.json
  adit service install --user run -c ~/.config/adit/adit.toml
  adit service status";

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Write a systemd unit, enable and start it
    #[command(after_help = AFTER_HELP)]
    Install(InstallArgs),
    /// Stop and disable a unit, and remove it
    Uninstall(UninstallArgs),
    /// Show which units there are and how they stand
    Status(PlaceArgs),
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct PlaceArgs {
    /// For your own session instead of the whole system; needs no root
    #[arg(long)]
    pub(crate) user: bool,

    /// Keep units here and leave systemd alone: for packages and images
    #[arg(long, value_name = "DIR")]
    pub(crate) unit_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// What the service does
    #[arg(value_enum)]
    pub(crate) role: RoleName,

    /// Its configuration file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: PathBuf,

    /// A secret file that systemd reads as root and shows to the service alone (LoadCredential); repeat it for more
    #[arg(long, value_name = "FILE")]
    pub(crate) credential: Vec<PathBuf>,

    /// Print the unit and change nothing
    #[arg(long, visible_alias = "print")]
    pub(crate) dry_run: bool,

    /// Write over a unit that was changed by hand
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UninstallArgs {
    /// What the service does
    #[arg(value_enum)]
    pub(crate) role: RoleName,

    /// Remove a unit that was changed by hand
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}
