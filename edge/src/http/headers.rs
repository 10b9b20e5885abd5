//! What a proxy changes in the fields of a message (RFC 9110, section 7.6), and nothing else.

mod forwarded;
mod hop;

use http::{
    HeaderMap, HeaderValue, Version,
    header::{CONNECTION, COOKIE, EXPECT, HOST, TE, UPGRADE},
    uri::Authority,
};

pub(super) use self::forwarded::Forwarding;
use self::hop::{has_token, remove_hop_by_hop};

pub(super) const REQUEST_ID: http::HeaderName = http::HeaderName::from_static("x-request-id");

/// The protocol that a visitor wants to change to (RFC 9110, section 7.8).
///
/// `h2c` is not passed on: it would let a visitor speak past the edge's routing in a connection of his own.
pub(super) fn wanted_upgrade(version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    let wanted = headers.get(UPGRADE)?;
    let named = headers
        .get_all(CONNECTION)
        .iter()
        .any(|v| has_token(v, "upgrade"));
    let h2c = headers.get_all(UPGRADE).iter().any(|v| has_token(v, "h2c"));
    (version == Version::HTTP_11 && named && !h2c).then(|| wanted.clone())
}

/// Whether the body waits for "100 Continue". A visitor of HTTP/1.0 cannot have meant it.
pub(super) fn expects_continue(version: Version, headers: &HeaderMap) -> bool {
    version == Version::HTTP_11
        && headers
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Whether `Transfer-Encoding` holds more than the one coding that every recipient knows. (hyper has refused what does not
/// end in `chunked`.)
pub(super) fn has_unknown_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(http::header::TRANSFER_ENCODING).iter();
    codings
        .next()
        .is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"chunked"))
        || codings.next().is_some()
}

/// Turns a visitor's request fields into those that the origin gets, except for Host.
pub(super) fn to_origin(headers: &mut HeaderMap, version: Version, forwarding: &Forwarding<'_>) {
    let trailers = headers
        .get_all(TE)
        .iter()
        .any(|value| has_token(value, "trailers"));
    remove_hop_by_hop(headers);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if version != Version::HTTP_11 {
        headers.remove(EXPECT);
    }
    forwarding.replace(headers);
    join_cookies(headers);
}

/// The rest of it for an HTTP/1.1 origin: the host is a field, and `TE` is one for this connection only.
pub(super) fn for_h1(headers: &mut HeaderMap, host: &Authority) {
    if let Ok(host) = HeaderValue::from_str(host.as_str()) {
        headers.insert(HOST, host);
    }
    if headers.contains_key(TE) {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
}

/// For an origin that gets no other request on the connection.
pub(super) fn for_one_request(headers: &mut HeaderMap) {
    headers.append(CONNECTION, HeaderValue::from_static("close"));
}

/// The rest of it for an HTTP/2 origin: the host is in `:authority`. A 100 from there cannot be seen, so none is asked for.
pub(super) fn for_h2(headers: &mut HeaderMap) {
    headers.remove(HOST);
    headers.remove(EXPECT);
}

/// The rest of it for a change of protocol.
pub(super) fn for_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Turns an origin's response fields into those that the visitor gets.
pub(super) fn to_visitor(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
}

/// HTTP/2 may split Cookie, HTTP/1.1 may not (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(COOKIE).iter();
    if cookies.next().is_none() || cookies.next().is_none() {
        return;
    }
    let all: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests;
