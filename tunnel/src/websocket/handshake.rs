//! The opening handshake (RFC 6455, section 4), as fields of an HTTP upgrade.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;

use crate::{
    Code,
    message::ErrorMessage,
    upgrade::{asks_for, names},
};

/// What the messages carry.
pub const SUBPROTOCOL: &str = "adit.1.yamux";
/// The upgrade token.
const TOKEN: &str = "websocket";
const VERSION: HeaderValue = HeaderValue::from_static("13");
/// RFC 6455, section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Octets of a client's key.
const KEY_LEN: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    #[error("the version of WebSocket is 13 here")]
    Version,
    #[error("Sec-WebSocket-Key is 16 octets in base64")]
    Key,
    #[error("Sec-WebSocket-Protocol lists adit.1.yamux here")]
    Subprotocol,
    #[error("the edge's answer is none to this key")]
    Accept,
    #[error("the edge speaks another subprotocol, or an extension that nobody asked for")]
    Answer,
}

/// Whether a request on an edge's own name asks for a WebSocket at the tunnel's path.
pub fn asks<B>(request: &Request<B>) -> bool {
    asks_for(request, TOKEN)
}

/// The answer to such a request: a switch of protocols.
pub(super) fn answer<B: Default>(headers: &HeaderMap) -> Result<Response<B>, HandshakeError> {
    if headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        return Err(HandshakeError::Version);
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let key = key.ok_or(HandshakeError::Key)?.as_bytes();
    if !STANDARD.decode(key).is_ok_and(|key| key.len() == KEY_LEN) {
        return Err(HandshakeError::Key);
    }
    if !names(headers, &header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Err(HandshakeError::Subprotocol);
    }
    let accept = HeaderValue::try_from(accept(key)).map_err(|_| HandshakeError::Key)?;
    let mut response = crate::upgrade::switch_to(TOKEN);
    let fields = response.headers_mut();
    fields.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    fields.insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    Ok(response)
}

/// The answer to a request that is not quite one.
pub fn refuse(error: HandshakeError) -> Response<Full<Bytes>> {
    let is_version = error == HandshakeError::Version;
    let code = if is_version {
        Code::Version
    } else {
        Code::Protocol
    };
    let mut response = crate::upgrade::refuse(&ErrorMessage::new(code, error.to_string()));
    if is_version {
        // RFC 6455, section 4.4.
        let fields = response.headers_mut();
        fields.insert(header::UPGRADE, HeaderValue::from_static(TOKEN));
        fields.insert(header::SEC_WEBSOCKET_VERSION, VERSION);
    }
    response
}

/// What a client adds to its request.
pub(super) fn ask(key: &str) -> [(HeaderName, String); 4] {
    [
        (header::UPGRADE, TOKEN.to_owned()),
        (header::SEC_WEBSOCKET_VERSION, "13".to_owned()),
        (header::SEC_WEBSOCKET_KEY, key.to_owned()),
        (header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL.to_owned()),
    ]
}

pub(super) fn new_key() -> String {
    STANDARD.encode(rand::random::<[u8; KEY_LEN]>())
}

/// Whether an edge's switch of protocols is one to this key (section 4.1).
pub(super) fn check(
    status: StatusCode,
    headers: &HeaderMap,
    key: &str,
) -> Result<(), HandshakeError> {
    let is_switch = status == StatusCode::SWITCHING_PROTOCOLS
        && names(headers, &header::UPGRADE, TOKEN)
        && names(headers, &header::CONNECTION, "upgrade");
    let told = headers.get(header::SEC_WEBSOCKET_ACCEPT);
    if !is_switch || told.is_none_or(|told| told.as_bytes() != accept(key.as_bytes()).as_bytes()) {
        return Err(HandshakeError::Accept);
    }
    let subprotocol = headers.get(header::SEC_WEBSOCKET_PROTOCOL);
    let has_extensions = headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS);
    if has_extensions || subprotocol.is_none_or(|told| told.as_bytes() != SUBPROTOCOL.as_bytes()) {
        return Err(HandshakeError::Answer);
    }
    Ok(())
}

fn accept(key: &[u8]) -> String {
    // What the standard wants is no security (section 10.3): any other hash would do as well.
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID.as_bytes()].concat());
    STANDARD.encode(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455, section 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn asked(change: impl FnOnce(&mut HeaderMap)) -> Result<Response<()>, HandshakeError> {
        let mut headers = HeaderMap::new();
        for (name, value) in ask(KEY) {
            headers.insert(name, value.parse().unwrap());
        }
        change(&mut headers);
        answer(&headers)
    }

    #[test]
    fn an_answer_is_to_the_clients_key() {
        let response = asked(|_| ()).unwrap();
        let accept = &response.headers()[header::SEC_WEBSOCKET_ACCEPT];
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let (status, headers) = (response.status(), response.headers());
        assert_eq!(check(status, headers, KEY), Ok(()));
        assert_eq!(
            check(status, headers, &new_key()),
            Err(HandshakeError::Accept)
        );
        assert_eq!(
            check(StatusCode::OK, headers, KEY),
            Err(HandshakeError::Accept)
        );
        let mut other = headers.clone();
        other.insert(header::SEC_WEBSOCKET_EXTENSIONS, "x".parse().unwrap());
        assert_eq!(check(status, &other, KEY), Err(HandshakeError::Answer));
        other.remove(header::SEC_WEBSOCKET_EXTENSIONS);
        other.insert(header::SEC_WEBSOCKET_PROTOCOL, "chat".parse().unwrap());
        assert_eq!(check(status, &other, KEY), Err(HandshakeError::Answer));
    }

    #[test]
    fn the_subprotocol_may_be_one_of_several() {
        let several = "chat, adit.1.yamux".parse::<HeaderValue>().unwrap();
        let response = asked(|headers| {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, several);
        });
        let response = response.unwrap();
        let told = &response.headers()[header::SEC_WEBSOCKET_PROTOCOL];
        assert_eq!(told, SUBPROTOCOL);
    }

    #[test]
    fn a_request_that_is_none_is_refused() {
        for (name, value, error) in [
            (header::SEC_WEBSOCKET_VERSION, "8", HandshakeError::Version),
            (header::SEC_WEBSOCKET_KEY, "AAAA", HandshakeError::Key),
            (header::SEC_WEBSOCKET_KEY, "?", HandshakeError::Key),
            (
                header::SEC_WEBSOCKET_PROTOCOL,
                "adit.2",
                HandshakeError::Subprotocol,
            ),
        ] {
            let spoiled = asked(|headers| {
                headers.insert(name.clone(), value.parse().unwrap());
            });
            assert_eq!(spoiled.unwrap_err(), error);
            let missing = asked(|headers| {
                headers.remove(&name);
            });
            assert_eq!(missing.unwrap_err(), error);
        }
    }
}
