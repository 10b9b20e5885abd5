//! What can be typed. The contract for scripts is docs/cli.md.

mod admin;
mod conformance;
mod dev;
mod duration;
mod provider;
mod run;
mod service;
mod share;
mod usage;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use self::{
    admin::{
        AccountCommand, AdminArgs, AdminCommand, AgentCommand, ApiKeyCommand, AuditCommand,
        ConsentCommand, DeviceCommand, EdgeCommand, EndpointCommand, KeyCommand, NamesArgs,
        RestoreArgs, RevokeArgs, TokenCommand,
    },
    conformance::{ConformanceCommand, TestedAgentArgs, TestedEdgeArgs, WhichArgs},
    dev::DevArgs,
    provider::{ConfigCommand, ProcessArgs, RoleArgs, RoleName, ServeArgs},
    run::RunArgs,
    service::{InstallArgs, PlaceArgs, ServiceCommand, UninstallArgs},
    share::{
        ConnectArgs, HttpArgs, OriginArgs, ProviderArgs, TcpArgs, TlsArgs, Transport, UdpArgs,
    },
    usage::{UsageArgs, UsageStep},
};
use crate::{failure::Failure, observe::LogFormat};

const AFTER_HELP: &str = "\
Examples:
  adit dev 3000                 run a provider here and share port 3000
  adit http 3000 --host shop    share port 3000 as shop.<the provider's zone>
  adit tcp 5432                 share a database on a port of the provider
  adit run -c adit.toml         share all that a file names

Exit codes: 0 ok, 1 failed, 2 usage, 3 no provider, 4 credential refused, 5 refused by the
provider, 6 unreachable, 7 in use, 8 replaced. Logs go to standard error; see --verbose.";

/// Share a local server under a public name, through any adit provider.
#[derive(Debug, Parser)]
#[command(name = "adit", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Log more: -v for what happens to sessions, -vv for every visit (RUST_LOG sets it in detail)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// How lines of the log are written
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "ADIT_LOG_FORMAT",
        value_name = "FORMAT"
    )]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole provider on this machine and share TARGET through it
    Dev(DevArgs),
    /// Run a whole provider on a public machine
    Serve(ServeArgs),
    /// Run one of a provider's control planes, over etcd
    ControlPlane(RoleArgs),
    /// Run one of a provider's edges, over etcd
    Edge(RoleArgs),
    /// Check configuration files, and print complete ones to begin with
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Share an HTTP server
    Http(HttpArgs),
    /// Share a TLS server; the provider never sees the key or the clear text
    Tls(TlsArgs),
    /// Share a TCP server on a port of the provider
    Tcp(TcpArgs),
    /// Share a server that speaks UDP on a port of the provider
    Udp(UdpArgs),
    /// Share all that a file names, and follow the file
    Run(RunArgs),
    /// Keep adit running as a systemd service
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Look at everything between this machine and a visitor, and say what to do about what is wrong
    Doctor(DoctorArgs),
    /// Test an edge or an agent, whoever wrote it, against the protocol
    #[command(subcommand)]
    Conformance(ConformanceCommand),
    /// Sign in at a provider: keep an API key for later commands
    Login(LoginArgs),
    /// Look after accounts, endpoints, tokens, agents, edges, keys and backups
    Admin(AdminArgs),
    /// Print completions for a shell
    Completions {
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// Is UDP open, is the clock right, who is reached how fast, and what does the credential allow.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) provider: ProviderArgs,

    /// Print one JSON value (docs/cli.md)
    #[arg(long)]
    pub(crate) json: bool,
}

/// The API key is read from standard input, so that it never stands in a command line. Where one is signed in elsewhere,
/// --device does without it: the machine gets an API key of its own.
#[derive(Debug, clap::Args)]
pub(crate) struct LoginArgs {
    /// The provider's control plane, as in https://adit.example.com
    #[arg(value_name = "URL")]
    pub(crate) server: String,

    /// PEM file with the CA of the provider, if it is not one that this system trusts
    #[arg(long, value_name = "FILE", env = "ADIT_CA")]
    pub(crate) ca: Option<std::path::PathBuf>,

    /// Show a code and wait until it is answered where you have signed in already, with adit admin device approve
    #[arg(long)]
    pub(crate) device: bool,
}

pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    clap_complete::generate(shell, &mut Cli::command(), "adit", &mut std::io::stdout());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_of_dev_and_of_sharing_has_its_environment_twin() {
        let cli = Cli::command();
        for name in ["dev", "serve", "http", "tls", "tcp", "udp", "run"] {
            let command = cli.find_subcommand(name).unwrap();
            for arg in command
                .get_arguments()
                .filter(|arg| arg.get_long().is_some() && !arg.is_global_set())
            {
                let long = arg.get_long().unwrap();
                if matches!(
                    long,
                    "help" | "version" | "trust" | "json" | "check" | "example"
                ) {
                    continue;
                }
                let twin = format!("ADIT_{}", long.to_uppercase().replace('-', "_"));
                assert_eq!(
                    arg.get_env().and_then(|e| e.to_str()),
                    Some(twin.as_str()),
                    "--{long} of {name}"
                );
            }
        }
    }
}
