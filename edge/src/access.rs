//! The access log's line for a connection whose bytes the edge does not look into: `tls` and `tcp` endpoints.

use std::net::IpAddr;

use model::{AccountId, ClaimId, Hostname, Kind, SessionId, UnixTime};
use serde::Serialize;

use crate::http::AccessLog;

/// Where visits are written down: requests by [`AccessLog::visit`], connections here.
pub trait VisitLog: AccessLog {
    /// Never waits.
    fn connection(&self, connection: &Connection);
}

/// One visitor's connection to a `tls` or `tcp` endpoint, as it is written down when it is over.
#[derive(Clone, Debug, Serialize)]
pub struct Connection {
    /// When it began.
    pub time: UnixTime,
    /// Also told to the agent, as the stream's unique id.
    pub connection: String,
    pub kind: Kind,
    pub visitor: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Hostname>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    pub end: ConnectionEnd,
    pub ms: u64,
    /// Bytes from the visitor, and to him.
    pub up: u64,
    pub down: u64,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionEnd {
    /// Both sides said that they had no more to say.
    Complete,
    /// One side, or the edge itself, cut it.
    Aborted,
    /// No agent served the endpoint.
    Offline,
    /// The origin did not take the connection.
    Refused,
    /// The agent did not answer in time.
    Timeout,
    /// The session had as many streams as it may.
    Limit,
}

impl ConnectionEnd {
    pub(crate) const ALL: [Self; 6] = [
        Self::Complete,
        Self::Aborted,
        Self::Offline,
        Self::Refused,
        Self::Timeout,
        Self::Limit,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Aborted => "aborted",
            Self::Offline => "offline",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Limit => "limit",
        }
    }
}
