//! Fields that are for one connection only (RFC 9110, section 7.6.1).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
        TRANSFER_ENCODING, UPGRADE,
    },
};

/// Removed whether Connection names them or not.
const ALWAYS: [HeaderName; 9] = [
    CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// Kept even when Connection names them: without them the message is another one ("hop-by-hop abuse").
const NEVER: [HeaderName; 2] = [HOST, CONTENT_LENGTH];

pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in nominated(headers) {
        headers.remove(name);
    }
    for name in ALWAYS {
        headers.remove(name);
    }
}

/// Whether a comma-separated list has `token`, in any case.
pub(super) fn has_token(value: &HeaderValue, token: &str) -> bool {
    tokens(value).any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
}

/// What Connection names; end-to-end fields that a visitor must not be able to remove are left out.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(tokens)
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .filter(|name| !NEVER.contains(name))
        .collect()
}

/// The members of a list, without parameters and spaces.
fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .filter_map(|member| member.split(|byte| *byte == b';').next())
        .map(<[u8]>::trim_ascii)
}
