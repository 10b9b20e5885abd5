//! gRPC clients look for a status of their own: HTTP 200 and `grpc-status`, with no body ("Trailers-Only").

use http::{HeaderMap, HeaderName, HeaderValue, Response, header::CONTENT_TYPE, response::Parts};

use super::Fault;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// gRPC's own codes (doc/statuscodes.md of grpc/grpc).
const DEADLINE_EXCEEDED: u8 = 4;
const RESOURCE_EXHAUSTED: u8 = 8;
const UNIMPLEMENTED: u8 = 12;
const INTERNAL: u8 = 13;
const UNAVAILABLE: u8 = 14;

/// `application/grpc`, with or without a suffix (`+proto`). gRPC-Web is plain HTTP with pages of its own.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .map_or(&b""[..], HeaderValue::as_bytes);
    kind.to_ascii_lowercase()
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

pub(super) fn trailers_only(fault: Fault) -> (Parts, String) {
    let mut parts = Response::new(()).into_parts().0;
    parts.headers.insert(CONTENT_TYPE, GRPC);
    parts
        .headers
        .insert(STATUS, HeaderValue::from(u16::from(status(fault))));
    // Titles are ASCII without '%', so that gRPC's percent encoding leaves them as they are.
    parts
        .headers
        .insert(MESSAGE, HeaderValue::from_static(fault.title()));
    (parts, String::new())
}

const fn status(fault: Fault) -> u8 {
    match fault {
        Fault::Unknown | Fault::Method | Fault::Coding => UNIMPLEMENTED,
        Fault::Authority | Fault::Body => INTERNAL,
        Fault::SlowVisitor => DEADLINE_EXCEEDED,
        Fault::Busy => RESOURCE_EXHAUSTED,
        Fault::Misdirected
        | Fault::Offline
        | Fault::OriginRefused
        | Fault::OriginAborted
        | Fault::OriginInvalid
        | Fault::OriginTimeout => UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_is_told_apart_from_its_neighbours() {
        for (kind, grpc) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/gRPC; x=y", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            assert_eq!(is_grpc(&headers), grpc, "{kind}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }
}
