//! `adit conformance …`.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use conformance::Binding;

use super::duration::duration;

const AGENT_HELP: &str = "\
COMMAND goes to sh. In it stand {url} for the edge, {token} for a token that is good there, {origin}
for the host and port to forward to, and {ca} for a PEM file that vouches for the edge:

  adit conformance agent --run 'my-agent --edge {url} --token {token} --ca {ca} {origin}'";

/// Does a peer speak the tunnel protocol as docs/protocol.md says?
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConformanceCommand {
    /// Test any edge from outside, as an agent of its and as a visitor
    ///
    /// The token must be a bearer token. The more kinds of endpoints it grants (http, tcp, udp, tls), the more can be tested;
    /// they must be in nobody else's hands meanwhile, and exclusive.
    Edge(TestedEdgeArgs),
    /// Test any agent from outside, as its edge and as its origin
    ///
    /// The agent is started anew for each case, and stopped behind it.
    #[command(after_help = AGENT_HELP)]
    Agent(TestedAgentArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct TestedEdgeArgs {
    /// Where agents find the edge, as in https://edge.example.com
    #[arg(value_name = "URL", required_unless_present = "list")]
    pub(crate) url: Option<String>,

    /// Read the token from FILE, or from standard input if FILE is -
    #[arg(
        long,
        value_name = "FILE",
        env = "ADIT_TOKEN_FILE",
        required_unless_present = "list"
    )]
    pub(crate) token_file: Option<PathBuf>,

    /// The same for a token that has expired
    #[arg(long, value_name = "FILE")]
    pub(crate) expired_token_file: Option<PathBuf>,

    /// PEM file with the CA of the edge, if it is not one that this system trusts
    #[arg(long, value_name = "FILE", env = "ADIT_CA")]
    pub(crate) ca: Option<PathBuf>,

    /// The address of the edge [default: what its name resolves to]
    #[arg(long, value_name = "IP")]
    pub(crate) address: Option<IpAddr>,

    #[command(flatten)]
    pub(crate) which: WhichArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TestedAgentArgs {
    /// Starts the agent
    #[arg(long, value_name = "COMMAND", required_unless_present = "list")]
    pub(crate) run: Option<String>,

    /// Where the edge and the origin listen
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) address: IpAddr,

    #[command(flatten)]
    pub(crate) which: WhichArgs,
}

/// What is asked, and how the answers are told.
#[derive(Debug, clap::Args)]
pub(crate) struct WhichArgs {
    /// Only this binding: quic, mux or single; repeat it for more [default: all]
    #[arg(long = "binding", value_name = "NAME")]
    pub(crate) bindings: Vec<Binding>,

    /// Only this case; repeat it for more [default: all]
    #[arg(long = "case", value_name = "NAME")]
    pub(crate) cases: Vec<String>,

    /// How long what should come at once may take, as in 20s on a slow path [default: 8s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) patience: Option<Duration>,

    /// Say which cases there are, and ask none
    #[arg(long)]
    pub(crate) list: bool,

    /// Fail when something could not be tested
    #[arg(long)]
    pub(crate) all: bool,

    /// Print one JSON value (docs/cli.md)
    #[arg(long)]
    pub(crate) json: bool,
}
