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
    /// The trace that it belongs to, which the agent is told in the stream's unique id.
    pub connection: String,
    /// The edge's own step of the trace.
    pub span: String,
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

impl Connection {
    const fn transport(&self) -> &'static str {
        match self.kind {
            Kind::Udp => "udp",
            _ => "tcp",
        }
    }

    /// What makes it a failed step of its trace.
    pub(crate) fn failure(&self) -> Option<&'static str> {
        (self.end != ConnectionEnd::Complete).then(|| self.end.as_str())
    }

    pub(crate) fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![
            ("network.transport", self.transport().to_owned()),
            ("client.address", self.visitor.to_string()),
            ("adit.kind", self.kind.as_str().to_owned()),
            ("adit.end", self.end.as_str().to_owned()),
        ];
        let known = [
            (
                "server.address",
                self.host.as_ref().map(ToString::to_string),
            ),
            ("server.port", self.port.map(|port| port.to_string())),
            ("adit.claim", self.claim.as_ref().map(ToString::to_string)),
            (
                "adit.session",
                self.session.as_ref().map(ToString::to_string),
            ),
        ];
        let known = known.into_iter();
        attributes.extend(known.filter_map(|(name, value)| value.map(|value| (name, value))));
        attributes
    }
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
