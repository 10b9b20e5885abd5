//! The WebSocket binding, as whoever knows no more than RFC 6455 may use it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    bed::{Bed, EDGE, within},
    single::{Tls, answer, dial, refused, try_to_dial},
};

async fn ask(connection: &mut Tls, fields: &str) {
    let request = format!(
        "GET /.well-known/tunnel HTTP/1.1\r\nHost: {EDGE}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Origin: https://elsewhere.example\r\n{fields}\r\n"
    );
    connection.write_all(request.as_bytes()).await.unwrap();
}

/// Once the stranger before has left.
async fn dial_when_there_is_room(bed: &Bed) -> Tls {
    loop {
        if let Ok(connection) = try_to_dial(bed).await {
            return connection;
        }
    }
}

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const GOOD: &str = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, adit.1.yamux\r\n";

#[tokio::test]
async fn a_handshake_is_answered_as_the_standard_wants() {
    let bed = Bed::start().await;
    let mut connection = dial(&bed).await;
    ask(&mut connection, &format!("{KEY}{GOOD}")).await;
    let head = answer(&mut connection).await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    for field in [
        "upgrade: websocket",
        "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
        "sec-websocket-protocol: adit.1.yamux",
    ] {
        assert!(head.contains(field), "{field}: {head}");
    }
    assert!(!head.contains("extensions"), "{head}");
}

#[tokio::test]
async fn a_request_that_is_none_says_why() {
    let bed = Bed::start().await;
    for (fields, status) in [
        (format!("{KEY}Sec-WebSocket-Version: 8\r\n"), 426),
        (GOOD.to_owned(), 400),
        (format!("{KEY}Sec-WebSocket-Version: 13\r\n"), 400),
    ] {
        let mut connection = dial(&bed).await;
        ask(&mut connection, &fields).await;
        let (head, error) = refused(&mut connection).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        assert_eq!(head.contains("sec-websocket-version: 13"), status == 426);
        assert!(
            error["msg"].as_str().unwrap().contains("WebSocket"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn who_breaks_the_standard_is_closed_and_costs_nothing_more() {
    let bed = Bed::start_with(|config| config.limits.strangers_per_address = 1).await;
    for (frame, code) in [
        (&b"\x81\x80\0\0\0\0"[..], 1003_u16),
        (b"\x82\x01x", 1002),
        (b"\xc2\x80\0\0\0\0", 1002),
        (b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 1002),
        (b"\x80\x80\0\0\0\0", 1002),
    ] {
        let mut connection = within(dial_when_there_is_room(&bed)).await;
        ask(&mut connection, &format!("{KEY}{GOOD}")).await;
        answer(&mut connection).await;
        connection.write_all(frame).await.unwrap();
        let mut said = Vec::new();
        let _ = within(connection.read_to_end(&mut said)).await;
        let close = [&[0x88, 2], &code.to_be_bytes()[..]].concat();
        let found = said.windows(4).any(|part| part == close);
        assert!(found, "{frame:x?}: {said:x?}");
    }
}
