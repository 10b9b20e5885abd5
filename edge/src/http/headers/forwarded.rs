//! Who is asking, told to the origin: Forwarded (RFC 7239) and the X-Forwarded-* fields that came before it.
//!
//! Whatever the visitor says about that himself is thrown away: the edge is the first that an origin can believe.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header::FORWARDED, uri::Authority};

use super::REQUEST_ID;

#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Forwarding<'a> {
    pub(in crate::http) peer: SocketAddr,
    pub(in crate::http) scheme: &'static str,
    pub(in crate::http) host: &'a Authority,
    pub(in crate::http) default_port: u16,
    pub(in crate::http) request_id: &'a str,
}

impl Forwarding<'_> {
    pub(super) fn replace(&self, headers: &mut HeaderMap) {
        remove_claims(headers);
        let port = self.host.port_u16().unwrap_or(self.default_port);
        for (name, value) in [
            (FORWARDED, self.forwarded()),
            (
                HeaderName::from_static("x-forwarded-for"),
                self.peer.ip().to_canonical().to_string(),
            ),
            (
                HeaderName::from_static("x-forwarded-proto"),
                self.scheme.to_owned(),
            ),
            (
                HeaderName::from_static("x-forwarded-host"),
                self.host.to_string(),
            ),
            (
                HeaderName::from_static("x-forwarded-port"),
                port.to_string(),
            ),
            (REQUEST_ID, self.request_id.to_owned()),
        ] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
    }

    fn forwarded(&self) -> String {
        let node = match self.peer.ip().to_canonical() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("\"[{ip}]\""),
        };
        // A host is a token only where it has no port.
        let quote = if self.host.as_str().contains(':') {
            "\""
        } else {
            ""
        };
        let (host, scheme) = (self.host, self.scheme);
        format!("for={node};host={quote}{host}{quote};proto={scheme}")
    }
}

/// Also with '_' for '-': servers that hand fields on as variables (CGI, WSGI) cannot tell the two apart.
fn remove_claims(headers: &mut HeaderMap) {
    let claims: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_claim(name))
        .cloned()
        .collect();
    for name in claims {
        headers.remove(name);
    }
}

fn is_claim(name: &HeaderName) -> bool {
    let name = name.as_str().replace('_', "-");
    name == FORWARDED.as_str()
        || name == REQUEST_ID.as_str()
        || name == "x-real-ip"
        || name.starts_with("x-forwarded-")
}
