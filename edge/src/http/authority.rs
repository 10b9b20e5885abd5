//! Whom a request asks for (RFC 9110, section 7.2): every place that may say so must say the same.

use http::{HeaderMap, Method, Uri, Version, header::HOST, uri::Authority as UriAuthority};
use model::{Hostname, HostnameError};

/// The host that a request is for, in both shapes that are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) name: Hostname,
    /// As the visitor wrote it, port and all.
    pub(super) text: UriAuthority,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AuthorityError {
    #[error("the request does not say which host it is for")]
    Missing,
    #[error("the request has more than one Host field")]
    Repeated,
    #[error("the host of the request cannot be read")]
    Malformed,
    #[error("the request names two different hosts")]
    Disagree,
    #[error("an address is not the name of anything shared here")]
    Address,
}

impl Authority {
    /// `default_port` is the scheme's, so that a host with and without it are the same.
    pub(super) fn of(
        version: Version,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        default_port: u16,
    ) -> Result<Self, AuthorityError> {
        let host = host_field(headers)?;
        if host.is_none() && version == Version::HTTP_11 {
            return Err(AuthorityError::Missing);
        }
        let target = uri.authority().filter(|_| method != Method::CONNECT);
        let text = match (target, host) {
            (Some(target), Some(host)) if !same(target, &host, default_port) => {
                return Err(AuthorityError::Disagree);
            }
            (Some(target), _) => target.clone(),
            (None, Some(host)) => host,
            (None, None) => return Err(AuthorityError::Missing),
        };
        Self::parse(text)
    }

    fn parse(text: UriAuthority) -> Result<Self, AuthorityError> {
        let host = text.host();
        let has_port = text.as_str().len() > host.len();
        if text.as_str().contains('@') || (has_port && text.port_u16().is_none()) {
            return Err(AuthorityError::Malformed);
        }
        if host.starts_with('[') {
            return Err(AuthorityError::Address);
        }
        match host.parse() {
            Ok(name) => Ok(Self { name, text }),
            Err(HostnameError::Address) => Err(AuthorityError::Address),
            Err(_) => Err(AuthorityError::Malformed),
        }
    }
}

fn host_field(headers: &HeaderMap) -> Result<Option<UriAuthority>, AuthorityError> {
    let mut fields = headers.get_all(HOST).iter();
    let Some(field) = fields.next() else {
        return Ok(None);
    };
    if fields.next().is_some() {
        return Err(AuthorityError::Repeated);
    }
    if field.is_empty() {
        return Err(AuthorityError::Missing);
    }
    UriAuthority::try_from(field.as_bytes())
        .map(Some)
        .map_err(|_| AuthorityError::Malformed)
}

fn same(one: &UriAuthority, other: &UriAuthority, default_port: u16) -> bool {
    let port = |authority: &UriAuthority| authority.port_u16().unwrap_or(default_port);
    one.host().eq_ignore_ascii_case(other.host()) && port(one) == port(other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(version: Version, uri: &str, hosts: &[&str]) -> Result<String, AuthorityError> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(
                HOST,
                http::HeaderValue::from_bytes(host.as_bytes()).unwrap(),
            );
        }
        let uri: Uri = uri.parse().unwrap();
        Authority::of(version, &Method::GET, &uri, &headers, 80).map(|a| a.name.to_string())
    }

    #[test]
    fn one_host_in_any_of_its_places() {
        for (version, uri, hosts) in [
            (Version::HTTP_11, "/", &["a.example"][..]),
            (Version::HTTP_11, "/", &["A.Example.:8080"]),
            (Version::HTTP_11, "http://a.example/x", &["a.example:80"]),
            (Version::HTTP_10, "/", &["a.example"]),
            (Version::HTTP_2, "http://a.example/", &[]),
            (Version::HTTP_2, "http://a.example:80/", &["A.example"]),
        ] {
            assert_eq!(
                of(version, uri, hosts).as_deref(),
                Ok("a.example"),
                "{uri} {hosts:?}"
            );
        }
    }

    #[test]
    fn what_is_missing_doubled_or_in_dispute_is_refused() {
        use AuthorityError::{Address, Disagree, Malformed, Missing, Repeated};
        for (version, uri, hosts, error) in [
            (Version::HTTP_11, "/", &[][..], Missing),
            (Version::HTTP_11, "/", &[""], Missing),
            (Version::HTTP_11, "http://a.example/", &[], Missing),
            (Version::HTTP_10, "/", &[], Missing),
            (Version::HTTP_11, "/", &["a.example", "a.example"], Repeated),
            (
                Version::HTTP_11,
                "http://a.example/",
                &["b.example"],
                Disagree,
            ),
            (
                Version::HTTP_11,
                "http://a.example/",
                &["a.example:81"],
                Disagree,
            ),
            (
                Version::HTTP_2,
                "http://a.example/",
                &["b.example"],
                Disagree,
            ),
            (Version::HTTP_11, "/", &["a b"], Malformed),
            (Version::HTTP_11, "/", &["u@a.example"], Malformed),
            (Version::HTTP_11, "/", &["a.example:99999"], Malformed),
            (Version::HTTP_11, "/", &["a.example:"], Malformed),
            (Version::HTTP_11, "/", &["a.example/x"], Malformed),
            (Version::HTTP_11, "/", &["a.example, b.example"], Malformed),
            (Version::HTTP_11, "/", &["127.0.0.1:80"], Address),
            (Version::HTTP_11, "/", &["[::1]:80"], Address),
        ] {
            assert_eq!(of(version, uri, hosts), Err(error), "{uri} {hosts:?}");
        }
    }

    proptest! {
        #[test]
        fn any_host_field_is_taken_or_refused(host in "[ -~]{0,60}") {
            if let Ok(name) = of(Version::HTTP_11, "/", &[&host]) {
                prop_assert!(host.to_ascii_lowercase().starts_with(&name));
            }
        }
    }
}
