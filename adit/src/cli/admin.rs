//! `adit admin …`: looking after a provider over gRPC.

use std::{path::PathBuf, time::Duration};

use model::{AgentName, EndpointName, Kind, Role};

use super::{ProviderArgs, UsageArgs, duration::duration};

const AFTER_HELP: &str = "\
Tables are for people and may change. --json prints one JSON document, and `audit` one JSON
object a line (docs/cli.md). Commands that make a secret print it alone on standard output,
and it is shown that once.

Examples:
  adit admin token issue --host shop --ttl 10m     a token for another machine
  adit admin agent create cam1 --host cam1 --json > cam1.json
  adit http 8080 --credential-file cam1.json       on that machine, for as long as it lives
  adit admin backup provider.backup";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct AdminArgs {
    #[command(subcommand)]
    pub(crate) command: AdminCommand,

    #[command(flatten)]
    pub(crate) provider: ProviderArgs,

    /// Print JSON instead of a table
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum AdminCommand {
    /// The provider's accounts
    #[command(subcommand)]
    Account(AccountCommand),
    /// The account's names and ports
    #[command(subcommand)]
    Endpoint(EndpointCommand),
    /// Tokens for other machines
    #[command(subcommand)]
    Token(TokenCommand),
    /// Credentials for machines without people
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Programs and machines that ask for rights with a code (adit login --device, or any OAuth client)
    #[command(subcommand)]
    Device(DeviceCommand),
    /// What programs were given in that way
    #[command(subcommand)]
    Consent(ConsentCommand),
    /// The provider's edges
    #[command(subcommand)]
    Edge(EdgeCommand),
    /// The provider's signing keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// API keys, with which people, programs and edges call the provider
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
    /// Visits and bytes of the account's endpoints
    Usage(UsageArgs),
    /// What was changed, by whom
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Write all that is precious to a file
    Backup {
        /// Where to; - is standard output
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Put a backup into the store of a provider that does not run
    Restore(RestoreArgs),
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum AccountCommand {
    /// Make an account and print its id
    Create {
        /// What people call it
        name: String,
    },
    /// List the accounts
    List,
    /// Show an account and how much it has
    Show {
        /// The id, acc_… [default: one's own]
        account: Option<String>,
    },
    /// Revoke all tokens and keys of an account, release its endpoints, and forget it
    Delete {
        /// The id, acc_…
        account: String,
        /// Do it: without this the command only says what would go
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum EndpointCommand {
    /// List endpoints and where each is bound
    List {
        /// Of another account, by id (for administrators)
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
    },
    /// Claim a name (or, without one, a random name) or a port
    Claim {
        /// One label under the provider's zone, or a whole name; omit it for a random one
        host: Option<String>,
        /// A port of the provider, for tcp
        #[arg(long, value_name = "N", conflicts_with = "host", value_parser = clap::value_parser!(u16).range(1..))]
        port: Option<u16>,
        /// http, tls or tcp [default: http, or tcp with --port]
        #[arg(long)]
        kind: Option<Kind>,
        /// Let several agents share the endpoint
        #[arg(long)]
        replicas: bool,
    },
    /// Show one endpoint and the sessions that serve it
    Show {
        /// A label, a name (api.example.com) or a port (port:44001)
        name: String,
    },
    /// Give an endpoint back; tokens for it stop working at once
    Release {
        /// The name (api.example.com) or port (port:44001)
        name: EndpointName,
    },
}

/// Names and ports; what the account does not have yet is claimed.
#[derive(Debug, clap::Args)]
pub(crate) struct NamesArgs {
    /// A label under the provider's zone, a whole name, or port:N; repeat it for more
    #[arg(long = "host", alias = "endpoint", value_name = "LABEL|NAME")]
    pub(crate) hosts: Vec<String>,
    /// A port of the provider; repeat it for more
    #[arg(long = "port", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) ports: Vec<u16>,
    /// What to claim a name as, if it is not the account's yet: http or tls [default: http]
    #[arg(long)]
    pub(crate) kind: Option<Kind>,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum TokenCommand {
    /// Print a token for endpoints of the account, claiming those that are free
    #[command(group(clap::ArgGroup::new("what").args(["hosts", "ports"]).required(true).multiple(true)))]
    Issue {
        #[command(flatten)]
        names: NamesArgs,
        /// How long the token opens sessions, as in 90s, 10m [default: the provider's]
        #[arg(long, value_name = "TIME", value_parser = duration)]
        ttl: Option<Duration>,
        /// How long a session may live, as in 12h [default: the provider's]
        #[arg(long, value_name = "TIME", value_parser = duration)]
        session_ttl: Option<Duration>,
        /// Bind the token to a key, by the thumbprint of its JWK (RFC 7638); the agent must prove that it holds it
        #[arg(long, value_name = "JKT")]
        key_thumbprint: Option<String>,
    },
    /// Refuse tokens from now on and cut their sessions
    Revoke {
        #[command(flatten)]
        what: RevokeArgs,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct RevokeArgs {
    /// One token, by its jti
    #[arg(long)]
    pub(crate) token_id: Option<String>,
    /// A token and all that it was refreshed to
    #[arg(long)]
    pub(crate) grant: Option<String>,
    /// Every token for an endpoint, by its claim
    #[arg(long)]
    pub(crate) claim: Option<String>,
    /// Every token of an account
    #[arg(long)]
    pub(crate) account: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum AgentCommand {
    /// Make a credential for a machine without people and print it; it is shown this once
    ///
    /// The machine gets tokens with it by itself, for the endpoints that it is bound to and for nothing else, until it is
    /// revoked. Names that nobody has are claimed; --host *.NAME is every endpoint of the account below NAME, now and later;
    /// without --host and --port a random name is claimed. With --json the output also names the provider, and is a file for
    /// --credential-file.
    Create {
        /// What you call the machine; one of a name to an account
        name: AgentName,
        #[command(flatten)]
        names: NamesArgs,
        /// A word to find it by; repeat it for more
        #[arg(long = "tag", value_name = "TEXT")]
        tags: Vec<String>,
    },
    /// List agents, where they are online, and when they last got a token
    List {
        /// Only those with this tag
        #[arg(long, value_name = "TEXT")]
        tag: Option<String>,
    },
    /// Refuse an agent's credential from now on and cut its sessions
    Revoke { name: AgentName },
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum DeviceCommand {
    /// Show what the device with this code asks for
    Show {
        /// As the device shows it, BCDF-GHJK
        code: String,
    },
    /// Let the device have what it asks for
    ///
    /// Names that it wishes for are claimed if nobody has them; where it leaves the name open, --host and --port choose, or a
    /// random name is claimed. A device that asks to act for the account may do what one of its members may.
    Approve {
        /// As the device shows it, BCDF-GHJK
        code: String,
        #[command(flatten)]
        names: NamesArgs,
    },
    /// Tell the device no
    Deny {
        /// As the device shows it, BCDF-GHJK
        code: String,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConsentCommand {
    /// List the programs that were given rights
    List,
    /// Refuse a program's tokens from now on and cut its sessions
    End {
        /// Its grant, grt_…
        grant: String,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum EdgeCommand {
    /// List the edges that are up, and how many sessions each has
    List,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeyCommand {
    /// List the signing keys
    List,
    /// Publish a new signing key; it signs after the overlap
    Rotate,
    /// Take a signing key that leaked out of use at once
    Retire {
        /// The id, kid_…
        id: String,
        /// Do it: without this the command only says what breaks
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum ApiKeyCommand {
    /// Make an API key and print it; it is shown this once
    Create {
        /// member (acts for its account), admin (looks after the provider) or edge (joins it)
        #[arg(long, default_value_t)]
        role: Role,
        /// The account it is for, by id [default: one's own]
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
        /// What it is for, in your words
        #[arg(long, default_value = "adit admin")]
        name: String,
    },
    /// List API keys; secrets are not kept, so they are not shown
    List {
        /// Of another account, by id (for administrators)
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
    },
    /// Refuse an API key from now on; its tokens live on until they end or are revoked
    Revoke {
        /// The id, key_…
        id: String,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum AuditCommand {
    /// List what was changed
    List {
        /// How far back
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = duration)]
        since: Duration,
        /// Only what concerns this account, by id
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
        /// Go on as it happens
        #[arg(long, short)]
        follow: bool,
    },
    /// Write everything that is kept as JSON lines
    Export {
        /// Where to; - is standard output
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// A file that `adit admin backup` wrote
    pub(crate) file: PathBuf,
    /// Into the etcd that this file of `adit control-plane` names; without it, into the store of --data-dir
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Restore over what the store has; what is not in the backup is deleted
    #[arg(long)]
    pub(crate) replace: bool,
    /// Check the file, and write nothing
    #[arg(long)]
    pub(crate) check: bool,
}
