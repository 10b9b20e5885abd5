//! `adit admin …`: looking after a provider over gRPC.

use model::{EndpointName, Kind, Role};

use super::ProviderArgs;

#[derive(Debug, clap::Args)]
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
    /// The account's names and ports
    #[command(subcommand)]
    Endpoint(EndpointCommand),
    /// Tokens for other machines
    #[command(subcommand)]
    Token(TokenCommand),
    /// The provider's edges
    #[command(subcommand)]
    Edge(EdgeCommand),
    /// The provider's signing keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// API keys, with which people, programs and edges call the provider
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum EndpointCommand {
    /// List endpoints and where each is bound
    List,
    /// Claim a name (or, without one, a random name) or a port
    Claim {
        /// One label under the provider's zone, or a whole name; omit it for a random one
        host: Option<String>,
        #[arg(long, default_value = "http")]
        kind: Kind,
        /// Let several agents share the endpoint
        #[arg(long)]
        replicas: bool,
    },
    /// Give an endpoint back; tokens for it stop working at once
    Release {
        /// The name (api.example.com) or port (port:44001)
        name: EndpointName,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum TokenCommand {
    /// Print a token for endpoints of the account
    Issue {
        /// A claimed name (api.example.com) or port (port:44001); repeat it for more
        #[arg(long = "endpoint", value_name = "NAME", required = true)]
        endpoints: Vec<EndpointName>,
        /// Seconds in which the token opens sessions [default: the provider's]
        #[arg(long, value_name = "SECONDS")]
        ttl: Option<u64>,
        /// Seconds that a session may live [default: the provider's]
        #[arg(long, value_name = "SECONDS")]
        session_ttl: Option<u64>,
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
pub(crate) enum EdgeCommand {
    /// List the edges that are up
    List,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeyCommand {
    /// List the signing keys
    List,
    /// Publish a new signing key; it signs after the overlap
    Rotate,
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
    /// Refuse an API key from now on; its tokens live on until they end or are revoked
    Revoke {
        /// The id, key_…
        id: String,
    },
}
