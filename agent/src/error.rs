//! Why a tunnel is over.

use tunnel::{Code, congestion::CongestionError};

use crate::{LocationError, TokenSourceError};

/// What ends a tunnel for good. Everything else is tried again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TunnelError {
    #[error("the edge refused: {message} ({})", code.name())]
    Refused { code: Code, message: String },
    #[error(transparent)]
    Token(#[from] TokenSourceError),
    #[error("the tunnel is closed")]
    Closed,
}

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("an agent needs a source of tokens")]
    NoTokens,
    #[error(transparent)]
    Location(#[from] LocationError),
    #[error(transparent)]
    Congestion(#[from] CongestionError),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}
