//! The messages of the control stream: one JSON object a line, told apart by `t`.

mod crit;
mod wire;

use std::time::Duration;

use model::{EdgeId, EndpointName, HostPattern, Kind, SessionId, UnixTime};
use serde::{Deserialize, Serialize};

pub(crate) use self::crit::Vocabulary;
use crate::{
    Code, Limits, Secret,
    limits::{self, cut},
};

/// The version of the protocol that this crate speaks.
pub const VERSION: u32 = 1;

/// What an agent says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "lowercase")]
pub enum AgentMessage {
    Hello(Hello),
    Bind(Bind),
    Unbind {
        id: u32,
    },
    Token {
        token: Secret,
    },
    /// The answer to a challenge.
    Proof {
        proof: Secret,
    },
    /// No new streams, please: the agent leaves when the old ones are done.
    Drain,
    /// The agent is bound elsewhere, as the edge asked.
    Drained,
    Ping {
        n: u64,
    },
    Pong {
        n: u64,
    },
    Error(ErrorMessage),
    /// A type of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

/// What an edge says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "lowercase")]
pub enum EdgeMessage {
    Welcome(Welcome),
    /// The token is bound to a key, and the hello proved nothing: prove that you hold it.
    Challenge {
        nonce: String,
    },
    Bound(Bound),
    Unbound {
        id: u32,
    },
    Error(ErrorMessage),
    Drain(Drain),
    Ping {
        n: u64,
    },
    Pong {
        n: u64,
    },
    Visit(Visit),
    /// A type of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

/// The agent's first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Versions that the agent speaks.
    pub v: Vec<u32>,
    pub token: Secret,
    /// The program's name and version, for logs.
    #[serde(default, deserialize_with = "wire::agent_name")]
    pub agent: String,
    /// None binds all that the token grants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind: Option<Vec<Bind>>,
    /// The secret of a session that this one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Secret>,
    /// That the agent holds the key which the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Secret>,
    /// Asks for a [`Visit`] per request.
    #[serde(default, skip_serializing_if = "wire::is_false")]
    pub visits: bool,
    /// The agent takes datagrams in frames of their own, where the binding has them.
    #[serde(default, skip_serializing_if = "wire::is_false")]
    pub datagrams: bool,
}

/// An endpoint that the agent wants to serve, under an id of its choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    pub id: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostPattern>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    pub kind: Kind,
    /// What an `http` origin speaks; none means [`OriginProtocol::H1`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proto: Option<OriginProtocol>,
    /// Sent to an `http` origin in place of the visitor's Host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_header: Option<String>,
}

/// What the edge speaks to the origin of an `http` endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OriginProtocol {
    /// HTTP/1.1 (RFC 9112).
    #[default]
    H1,
    /// HTTP/2 with prior knowledge (RFC 9113, section 3.3).
    H2c,
}

/// The edge took the agent's token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub v: u32,
    pub session: SessionId,
    pub edge: EdgeId,
    #[serde(default)]
    pub bound: Vec<Bound>,
    /// When the session ends, unless it is refreshed before.
    pub session_exp: UnixTime,
    /// Pause after which a silent side sends a sign of life.
    #[serde(with = "wire::seconds", default = "wire::keepalive")]
    pub keepalive: Duration,
    #[serde(default)]
    pub limits: Limits,
    /// Other edges that the agent may go to, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Secret>,
    /// The edge takes datagrams in frames of their own, as the agent does.
    #[serde(default, skip_serializing_if = "wire::is_false")]
    pub datagrams: bool,
    /// Another line of welcome follows with more of `bound`.
    #[serde(default, skip_serializing_if = "wire::is_false")]
    pub more: bool,
}

/// An endpoint that the session serves now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    pub id: u32,
    pub kind: Kind,
    /// Where visitors go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostPattern>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// Something went wrong: with the bind `id`, else with the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorMessage {
    pub code: Code,
    /// For a person.
    #[serde(default, deserialize_with = "wire::printable")]
    pub msg: String,
    /// Whether the same may be tried again.
    #[serde(default)]
    pub retry: bool,
    /// Not before that.
    #[serde(
        with = "wire::optional_millis",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub after: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
}

/// The edge is going to stop: bind elsewhere, say so, finish the open streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Wait that long first, so that agents do not all come at once.
    #[serde(with = "wire::millis")]
    pub after: Duration,
    /// Streams that are open then are cut.
    #[serde(with = "wire::millis")]
    pub deadline: Duration,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<String>,
}

/// One HTTP request that the edge has answered. Told to agents that asked, and dropped when the control stream is backed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// The bind.
    pub id: u32,
    #[serde(deserialize_with = "wire::printable")]
    pub method: String,
    /// Without its query, which may hold secrets.
    #[serde(deserialize_with = "wire::printable")]
    pub path: String,
    pub status: u16,
    /// From the request's head to the response's last byte.
    pub ms: u64,
    /// Bytes of the bodies of request and response.
    pub up: u64,
    pub down: u64,
}

impl Bind {
    /// What is to be bound; none unless exactly one of host and port is there and fits the kind.
    pub fn name(&self) -> Option<EndpointName> {
        match (&self.host, self.port) {
            (Some(host), None) if self.kind.is_named() => Some(EndpointName::Host(host.clone())),
            (None, Some(port)) if port > 0 && !self.kind.is_named() => {
                Some(EndpointName::Port(port))
            }
            _ => None,
        }
    }
}

impl Welcome {
    /// As lines that the other side can hold: a long list of bounds comes in several.
    pub fn into_lines(mut self) -> Vec<Self> {
        self.edges.truncate(limits::EDGES);
        let bound = std::mem::take(&mut self.bound);
        let mut lines: Vec<_> = bound
            .chunks(limits::BOUND_PER_LINE)
            .map(|part| Self {
                bound: part.to_vec(),
                more: true,
                ..self.clone()
            })
            .collect();
        match lines.last_mut() {
            Some(last) => last.more = false,
            None => lines.push(self),
        }
        lines
    }
}

impl ErrorMessage {
    /// With the code's own advice on trying again.
    pub fn new(code: Code, msg: impl AsRef<str>) -> Self {
        use crate::code::Retry::{Never, NewToken};
        Self {
            code,
            msg: cut(msg.as_ref(), limits::ERROR_TEXT).into(),
            retry: !matches!(code.retry(), Never | NewToken),
            after: None,
            id: None,
        }
    }

    #[must_use]
    pub fn after(self, after: Duration) -> Self {
        Self {
            after: Some(after),
            ..self
        }
    }

    /// About one bind, not the session.
    #[must_use]
    pub fn about(self, id: u32) -> Self {
        Self {
            id: Some(id),
            ..self
        }
    }
}

impl Visit {
    /// Cut to what one line of the control stream may hold, and without the query.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let path = self.path.split(['?', '#']).next().unwrap_or_default();
        self.path = cut(path, limits::VISIT_PATH).into();
        self.method = cut(&self.method, limits::VISIT_METHOD).into();
        self
    }
}

#[cfg(test)]
mod tests;
