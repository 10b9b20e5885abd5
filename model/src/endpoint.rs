//! Endpoints: the public names and ports that visitors reach.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{AccountId, ClaimId, HostPattern, Hostname, HostnameError, Region, UnixTime};

/// What the edge does with a visitor's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// TLS ends at the edge, which speaks HTTP on both sides.
    Http,
    /// TLS passes through untouched; the key is on the agent's side.
    Tls,
    /// A port of the edge; bytes are not looked at.
    Tcp,
    /// A port of the edge; datagrams, kept whole.
    Udp,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a kind is http, tls, tcp or udp")]
pub struct KindError;

/// A public name or port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EndpointName {
    Host(HostPattern),
    /// A TCP or UDP port of every edge that serves it, written `port:44001`.
    Port(u16),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointNameError {
    #[error(transparent)]
    Host(#[from] HostnameError),
    #[error("a port endpoint is written port:N with N from 1 to 65535")]
    Port,
}

/// Whether several sessions may hold one endpoint at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    /// One session at a time.
    #[default]
    Exclusive,
    /// Sessions share the visitors among them.
    Replicas,
}

/// A claimed endpoint: the fact under `public/endpoint/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub claim: ClaimId,
    pub account: AccountId,
    pub name: EndpointName,
    pub kind: Kind,
    #[serde(default)]
    pub sharing: Sharing,
    /// Regions whose edges may serve it; empty means all.
    #[serde(default)]
    pub regions: Vec<Region>,
    pub created: UnixTime,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// Named kinds are reached by host name, the others by port.
    pub const fn is_named(self) -> bool {
        matches!(self, Self::Http | Self::Tls)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Self, KindError> {
        [Self::Http, Self::Tls, Self::Tcp, Self::Udp]
            .into_iter()
            .find(|k| k.as_str() == text)
            .ok_or(KindError)
    }
}

impl EndpointName {
    pub fn host(&self) -> Option<&HostPattern> {
        match self {
            Self::Host(pattern) => Some(pattern),
            Self::Port(_) => None,
        }
    }

    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Host(_) => None,
            Self::Port(port) => Some(*port),
        }
    }

    /// True when `self`, as granted, allows binding `wanted`.
    pub fn covers(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::Host(own), Self::Host(wanted)) => own.covers(wanted),
            (Self::Port(own), Self::Port(wanted)) => own == wanted,
            (Self::Host(_), Self::Port(_)) | (Self::Port(_), Self::Host(_)) => false,
        }
    }
}

impl From<Hostname> for EndpointName {
    fn from(name: Hostname) -> Self {
        Self::Host(HostPattern::Exact(name))
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(pattern) => pattern.fmt(f),
            Self::Port(port) => write!(f, "port:{port}"),
        }
    }
}

impl FromStr for EndpointName {
    type Err = EndpointNameError;

    fn from_str(text: &str) -> Result<Self, EndpointNameError> {
        match text.strip_prefix("port:") {
            // `parse` alone would take "+1" and "007" and so give one port several names.
            Some(digits) => match digits.parse() {
                Ok(port)
                    if port > 0
                        && digits.bytes().all(|b| b.is_ascii_digit())
                        && !digits.starts_with('0') =>
                {
                    Ok(Self::Port(port))
                }
                _ => Err(EndpointNameError::Port),
            },
            None => Ok(Self::Host(text.parse()?)),
        }
    }
}

impl TryFrom<String> for EndpointName {
    type Error = EndpointNameError;

    fn try_from(text: String) -> Result<Self, EndpointNameError> {
        text.parse()
    }
}

impl From<EndpointName> for String {
    fn from(name: EndpointName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_one_spelling() {
        assert_eq!("port:44001".parse(), Ok(EndpointName::Port(44001)));
        for bad in ["port:0", "port:+1", "port:007", "port:65536", "port:"] {
            assert!(bad.parse::<EndpointName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_grant_never_covers_a_port() {
        let host: EndpointName = "a.example".parse().unwrap();
        assert!(!host.covers(&EndpointName::Port(1)) && !EndpointName::Port(1).covers(&host));
    }
}
