//! What the proxy needs from the rest of the edge: where a name leads, and a stream to the origin behind it.

use std::{error::Error, fmt::Debug, io, sync::Arc};

use async_trait::async_trait;
use http::uri::Authority;
use model::{AccountId, ClaimId, HostPattern, Hostname, Kind};
use tokio::io::{AsyncRead, AsyncWrite};
use tunnel::{
    Code, StreamHead, StreamReset,
    message::{OriginProtocol, Visit},
};

use super::pool::Pool;

/// The route table, as the proxy sees it.
#[async_trait]
pub trait Routes: Debug + Send + Sync + 'static {
    /// The endpoint that serves `name` now. May wait a moment for a session to come back.
    async fn route(&self, name: &Hostname) -> Result<Arc<dyn Endpoint>, RouteError>;
}

/// One endpoint as one session has bound it.
#[async_trait]
pub trait Endpoint: Debug + Send + Sync + 'static {
    fn terms(&self) -> &Terms;

    /// The upstream connections of this bound endpoint, and of no other.
    fn pool(&self) -> &Pool;

    /// A new stream to the origin. Reading from it fails with an error that [`OriginError::of`] understands.
    async fn open(&self, head: StreamHead) -> Result<OriginIo, OriginError>;

    /// Tells the agent about a request; never waits.
    fn visited(&self, visit: Visit);
}

/// How the proxy treats an endpoint.
#[derive(Clone, Debug)]
pub struct Terms {
    pub pattern: HostPattern,
    pub kind: Kind,
    /// None for names that the provider keeps for itself.
    pub claim: Option<ClaimId>,
    pub account: Option<AccountId>,
    pub bind: u32,
    pub protocol: OriginProtocol,
    /// What the origin gets as Host; none keeps the visitor's.
    pub host_header: Option<Authority>,
    /// Each request has a connection of its own, which ends with it.
    pub one_request: bool,
}

/// Both directions of bytes.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub type OriginIo = Box<dyn Duplex>;

/// Why a name leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error("nobody has claimed this name")]
    Unknown,
    #[error("no agent serves this name now")]
    Offline,
    #[error("this name is not served over HTTP")]
    NotHttp,
}

impl RouteError {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown-name",
            Self::Offline => "offline",
            Self::NotHttp => "misdirected",
        }
    }
}

/// Why a stream to an origin failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    #[error("the origin does not take connections: start it, or correct the agent's target")]
    Refused,
    #[error("the stream to the origin was cut")]
    Aborted,
    #[error("the session carries as many streams as it may")]
    Limit,
    #[error("the agent did not answer in time")]
    Timeout,
    #[error("the session has ended")]
    Gone,
}

impl OriginError {
    /// As in [`crate::ConnectionEnd`].
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Aborted => "aborted",
            Self::Limit => "limit",
            Self::Timeout => "timeout",
            Self::Gone => "gone",
        }
    }

    /// What `error` of an origin's stream says; any other failure of the stream counts as cut.
    pub fn of(error: &io::Error) -> Self {
        let inner = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
        inner
            .and_then(|inner| inner.downcast_ref::<Self>())
            .copied()
            .or_else(|| StreamReset::of(error).map(|reset| Self::from(reset.code)))
            .unwrap_or(Self::Aborted)
    }
}

impl From<Code> for OriginError {
    fn from(code: Code) -> Self {
        match code {
            Code::OriginRefused => Self::Refused,
            Code::StreamLimit | Code::Limit => Self::Limit,
            Code::Timeout => Self::Timeout,
            Code::Draining | Code::Replaced | Code::Revoked | Code::Idle => Self::Gone,
            _ => Self::Aborted,
        }
    }
}
