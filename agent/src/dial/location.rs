//! Where an edge is, as its provider wrote it: `https://edge.example:4443`, TCP and UDP alike.

use std::{fmt, str::FromStr};

use crate::origin::{Address, TargetError};

const DEFAULT_PORT: u16 = 443;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    host: String,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    #[error("an edge is written https://host:port, not {0:?}")]
    Scheme(String),
    #[error(transparent)]
    Address(#[from] TargetError),
}

impl Location {
    pub fn host(&self) -> &str {
        &self.host
    }

    /// As in a Host header: with the port, unless it is that of the scheme (RFC 9110, section 7.2).
    pub(crate) fn authority(&self) -> String {
        let address = Address::new(self.host.as_str(), self.port).to_string();
        match address.strip_suffix(":443") {
            Some(host) if self.port == DEFAULT_PORT => host.into(),
            _ => address,
        }
    }

    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let rest = text
            .strip_prefix("https://")
            .ok_or_else(|| LocationError::Scheme(text.chars().take(80).collect()))?;
        let Address { host, port } = Address::parse(rest, DEFAULT_PORT)?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Address::new(self.host.as_str(), self.port);
        write!(f, "https://{address}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_an_https_url_without_a_path() {
        let parse = |text: &str| text.parse::<Location>().map(|l| l.to_string());
        assert_eq!(
            parse("https://edge.localhost:4443/").as_deref(),
            Ok("https://edge.localhost:4443")
        );
        assert_eq!(parse("https://e").as_deref(), Ok("https://e:443"));
        assert_eq!(parse("https://[::1]:1").as_deref(), Ok("https://[::1]:1"));
        for bad in [
            "",
            "e:1",
            "http://e:1",
            "https://",
            "https://e/x",
            "https://u@e",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
