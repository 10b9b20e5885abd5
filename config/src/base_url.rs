//! `https://host[:port]`: where something is, and nothing behind it.

use std::{fmt, net::IpAddr, str::FromStr};

use model::Hostname;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    secure: bool,
    /// A host name or an address, without brackets.
    host: String,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a URL is written https://host or https://host:port here, without a path, not {0:?}")]
pub struct BaseUrlError(String);

impl BaseUrl {
    /// `https://host`, with the port where it is not 443.
    pub fn https(host: &Hostname, port: u16) -> Self {
        Self {
            secure: true,
            host: host.to_string(),
            port: (port != 443).then_some(port),
        }
    }

    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// With the port, also where it is the usual one.
    pub fn with_port(&self) -> String {
        match self.port {
            Some(_) => self.to_string(),
            None => format!("{self}:{}", self.port()),
        }
    }

    /// None for an address.
    pub fn hostname(&self) -> Option<Hostname> {
        self.host.parse().ok()
    }

    pub const fn port(&self) -> u16 {
        match (self.port, self.secure) {
            (Some(port), _) => port,
            (None, true) => 443,
            (None, false) => 80,
        }
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        parse(text).ok_or_else(|| BaseUrlError(text.chars().take(100).collect()))
    }
}

fn parse(text: &str) -> Option<BaseUrl> {
    let (scheme, rest) = text.split_once("://")?;
    let secure = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, after)
        }
        None => match rest.find(':') {
            Some(colon) => rest.split_at(colon),
            None => (rest, ""),
        },
    };
    let port = match port.strip_prefix(':') {
        Some(port) => Some(port.parse().ok().filter(|port| *port > 0)?),
        None if port.is_empty() => None,
        None => return None,
    };
    let host = match host.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => host.parse::<Hostname>().ok()?.to_string(),
    };
    let default = if secure { 443 } else { 80 };
    let port = port.filter(|port| *port != default);
    Some(BaseUrl { secure, host, port })
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "https://" } else { "http://" })?;
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_for_one_place() {
        let url: BaseUrl = "https://a.example".parse().unwrap();
        assert_eq!(url.with_port(), "https://a.example:443");
        let shown = |text: &str| text.parse::<BaseUrl>().map(|url| url.to_string());
        assert_eq!(
            shown("HTTPS://Adit.Example:443/"),
            Ok("https://adit.example".into())
        );
        assert_eq!(
            shown("http://10.0.0.1:4470"),
            Ok("http://10.0.0.1:4470".into())
        );
        assert_eq!(shown("https://[::1]:8443"), Ok("https://[::1]:8443".into()));
        for bad in [
            "",
            "adit.example",
            "ftp://a",
            "https://a/b",
            "https://a:0",
            "https://u@a",
            "https://[a]",
            "https://a:b",
        ] {
            assert!(shown(bad).is_err(), "{bad}");
        }
    }
}
