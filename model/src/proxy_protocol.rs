//! How an origin is told who visits: the PROXY protocol (haproxy's proxy-protocol.txt).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A version of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    /// A line of text; for connections alone.
    V1,
    /// Binary.
    V2,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version of the PROXY protocol is v1 or v2")]
pub struct ProxyProtocolError;

impl ProxyProtocol {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

impl fmt::Display for ProxyProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ProxyProtocol {
    type Err = ProxyProtocolError;

    fn from_str(text: &str) -> Result<Self, ProxyProtocolError> {
        let found = [Self::V1, Self::V2]
            .into_iter()
            .find(|one| one.as_str() == text);
        found.ok_or(ProxyProtocolError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_known_and_no_other() {
        for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
            assert_eq!(version.as_str().parse(), Ok(version));
        }
        assert_eq!("v3".parse::<ProxyProtocol>(), Err(ProxyProtocolError));
    }
}
