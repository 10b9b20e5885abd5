//! Where tokens come from.

mod control_plane;
mod fixed;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
pub use control_plane::{ControlPlane, ControlPlaneError};
pub use fixed::StaticToken;
use model::UnixTime;
use token::ProofKey;
use tunnel::Secret;

/// TokenWhy a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenWhy {
    /// There is none yet.
    Initial,
    /// A session that is up nears its end.
    Refresh,
    /// The edge refused the last one, or it is too old to open a session with.
    AfterExpiry,
}

/// A token and what its provider said along with it.
#[derive(Clone, Debug)]
pub struct Issued {
    pub token: Secret,
    /// Edges to connect to, the best first; empty means those that the agent was built with.
    pub locations: Vec<String>,
    /// When the token stops opening sessions; none when that is not known.
    pub expires: Option<UnixTime>,
    pub session_expires: Option<UnixTime>,
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct TokenSourceError {
    pub message: String,
    pub kind: TokenSourceErrorKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenSourceErrorKind {
    /// The provider is away; it is asked again later.
    Unavailable,
    /// This source has one token and no other.
    Fixed,
    /// The credential is refused.
    Credential,
    /// The credential is good, but not for these endpoints.
    Forbidden,
}

#[async_trait]
pub trait TokenSource: fmt::Debug + Send + Sync + 'static {
    async fn token(&self, why: TokenWhy) -> Result<Issued, TokenSourceError>;

    /// The key that its tokens are bound to; none where they are bearer tokens.
    fn key(&self) -> Option<Arc<ProofKey>> {
        None
    }
}

impl TokenSourceError {
    pub fn new(kind: TokenSourceErrorKind, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind,
        }
    }

    /// True when asking again cannot help.
    pub fn is_fatal(&self) -> bool {
        self.kind != TokenSourceErrorKind::Unavailable
    }
}
