//! An agent: who it is, where edges are, how they are reached.

use std::{path::PathBuf, sync::Arc, time::Duration};

use model::Congestion;
use rustls::{ClientConfig, RootCertStore};
use tunnel::{congestion, message::Bind};

use crate::{
    BuildError, Issued, Location, TokenSource, TokenSourceError, TokenSourceErrorKind, TokenWhy,
    Tunnel,
    bounds::{self, Bound},
    dial,
    policy::quic_return,
};

/// ALPN of the Upgrade binding.
const ALPN_UPGRADE: &[u8] = b"http/1.1";
/// How long a source may take for one token.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_NAME: &str = concat!("adit/", env!("CARGO_PKG_VERSION"));

/// Which binding to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransportChoice {
    /// QUIC where it gets through, TCP elsewhere, and a WebSocket where nothing else does.
    #[default]
    Auto,
    Quic,
    Tcp,
    WebSocket,
}

#[derive(Clone, Debug)]
pub struct Agent(Arc<Settings>);

/// What all tunnels of an agent share.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) locations: Vec<Location>,
    pub(crate) tokens: Arc<dyn TokenSource>,
    pub(crate) transport: TransportChoice,
    pub(crate) congestion: Congestion,
    pub(crate) quic_retry_every: Duration,
    pub(crate) name: String,
    pub(crate) provider: String,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) resume_as: Option<String>,
    pub(crate) visits: bool,
    pub(crate) tls_tcp: Arc<ClientConfig>,
    pub(crate) tls_quic: quinn::ClientConfig,
}

#[derive(Debug)]
pub struct AgentBuilder {
    locations: Vec<String>,
    tokens: Option<Arc<dyn TokenSource>>,
    roots: RootCertStore,
    transport: TransportChoice,
    congestion: Congestion,
    quic_retry_every: Duration,
    name: String,
    provider: String,
    state_dir: Option<PathBuf>,
    resume_as: Option<String>,
    visits: bool,
}

impl Agent {
    pub fn builder() -> AgentBuilder {
        AgentBuilder {
            locations: Vec::new(),
            tokens: None,
            roots: RootCertStore::empty(),
            transport: TransportChoice::Auto,
            congestion: Congestion::System,
            quic_retry_every: quic_return::EVERY,
            name: DEFAULT_NAME.into(),
            provider: String::new(),
            state_dir: None,
            resume_as: None,
            visits: false,
        }
    }

    /// Holds a session that binds these endpoints, or all that the token grants where none is given, until the tunnel
    /// is closed or dropped. Must be called within a tokio runtime.
    pub fn bind(&self, binds: Vec<Bind>) -> Tunnel {
        Tunnel::start(Arc::clone(&self.0), binds)
    }
}

impl Settings {
    /// Asks the source, but not for ever.
    pub(crate) fn ask_token(
        &self,
        why: TokenWhy,
    ) -> impl Future<Output = Result<Issued, TokenSourceError>> + Send + use<> {
        let tokens = Arc::clone(&self.tokens);
        async move {
            let asked = tokio::time::timeout(TOKEN_TIMEOUT, tokens.token(why)).await;
            asked.unwrap_or_else(|_| {
                bounds::hit(Bound::Token);
                let message = "the provider does not answer";
                Err(TokenSourceError::new(
                    TokenSourceErrorKind::Unavailable,
                    message,
                ))
            })
        }
    }
}

impl AgentBuilder {
    /// Edges as `https://host:port`, the best first. What a token source answers comes before them.
    #[must_use]
    pub fn locations(mut self, urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.locations = urls.into_iter().map(Into::into).collect();
        self
    }

    #[must_use]
    pub fn tokens(mut self, source: Arc<dyn TokenSource>) -> Self {
        self.tokens = Some(source);
        self
    }

    /// The authorities that may vouch for an edge. There is no default.
    #[must_use]
    pub fn roots(mut self, roots: RootCertStore) -> Self {
        self.roots = roots;
        self
    }

    #[must_use]
    pub const fn transport(mut self, choice: TransportChoice) -> Self {
        self.transport = choice;
        self
    }

    /// Congestion control of what is sent to the edge.
    #[must_use]
    pub const fn congestion(mut self, congestion: Congestion) -> Self {
        self.congestion = congestion;
        self
    }

    /// How often a session that fell to TCP tries QUIC again; by default every ten minutes.
    #[must_use]
    pub const fn quic_retry_every(mut self, period: Duration) -> Self {
        self.quic_retry_every = period;
        self
    }

    /// How the agent calls itself, `name/version`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Whose edges these are, by whatever name stays the same (a URL): resume secrets of two providers are kept apart.
    #[must_use]
    pub fn provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = provider.into();
        self
    }

    /// Where resume secrets are kept over a restart.
    #[must_use]
    pub fn state_dir(mut self, directory: Option<PathBuf>) -> Self {
        self.state_dir = directory;
        self
    }

    /// What the resume secret is kept for, where the endpoints may change from one start to the next; by default the
    /// endpoints themselves.
    #[must_use]
    pub fn resume_as(mut self, name: impl Into<String>) -> Self {
        self.resume_as = Some(name.into());
        self
    }

    /// Asks the edge for an event per HTTP request.
    #[must_use]
    pub const fn visits(mut self, wanted: bool) -> Self {
        self.visits = wanted;
        self
    }

    pub fn build(self) -> Result<Agent, BuildError> {
        congestion::check(self.congestion)?;
        let roots = Arc::new(self.roots);
        let locations: Result<_, _> = self.locations.iter().map(|url| url.parse()).collect();
        Ok(Agent(Arc::new(Settings {
            locations: locations?,
            tokens: self.tokens.ok_or(BuildError::NoTokens)?,
            transport: self.transport,
            congestion: self.congestion,
            quic_retry_every: self.quic_retry_every,
            name: self.name,
            provider: self.provider,
            state_dir: self.state_dir,
            resume_as: self.resume_as,
            visits: self.visits,
            tls_tcp: dial::client_config(Arc::clone(&roots), &[ALPN_UPGRADE])?,
            tls_quic: dial::quic_config(roots, self.congestion)?,
        })))
    }
}
