//! Both sides with each other, in pieces of any size; and what strangers may send.

use proptest::{collection::vec, prelude::*};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

fn runtime() -> tokio::runtime::Runtime {
    let mut paused = tokio::runtime::Builder::new_current_thread();
    paused.enable_time().start_paused(true).build().unwrap()
}

/// A server, and the bytes of its client.
fn server() -> (WebSocket<DuplexStream>, DuplexStream) {
    let (near, far) = duplex(1 << 16);
    (WebSocket::new(near, Side::Server), far)
}

/// A frame of a client, whose mask changes nothing.
fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    assert!(body.len() < 126);
    let mut frame = vec![first, 0x80 | body.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(body);
    frame
}

async fn read(server: &mut WebSocket<DuplexStream>, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    server.read_exact(&mut bytes).await.unwrap();
    bytes
}

/// What a server answers before it closes.
async fn refused(first: &[u8]) -> (io::Error, Vec<u8>) {
    let (mut server, mut client) = server();
    client.write_all(first).await.unwrap();
    let error = server.read_u8().await.unwrap_err();
    drop(server);
    let mut said = Vec::new();
    client.read_to_end(&mut said).await.unwrap();
    (error, said)
}

#[tokio::test]
async fn messages_are_joined() {
    let (mut server, mut client) = server();
    for part in [
        frame(0x02, b"ab"),
        frame(0x00, b""),
        frame(0x89, b"are you there"),
        frame(0x80, b"c"),
        frame(0x82, b""),
        frame(0x8a, b"unasked"),
        frame(0x82, b"de"),
    ] {
        client.write_all(&part).await.unwrap();
    }
    assert_eq!(read(&mut server, 5).await, b"abcde");
    let mut pong = [0; 15];
    client.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\x8a\x0dare you there");
}

#[tokio::test]
async fn a_server_masks_nothing_and_a_client_all() {
    let (mut server, mut client) = server();
    server.write_all(b"hello").await.unwrap();
    let mut bytes = [0; 7];
    client.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"\x82\x05hello");

    let (near, mut far) = duplex(100);
    let mut socket = WebSocket::new(near, Side::Client);
    socket.write_all(b"hello").await.unwrap();
    let mut bytes = [0; 11];
    far.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes[..2], b"\x82\x85");
    let unmasked: Vec<u8> = bytes[6..]
        .iter()
        .zip(bytes[2..6].iter().cycle())
        .map(|(byte, key)| byte ^ key)
        .collect();
    assert_eq!(unmasked, b"hello");
}

#[tokio::test]
async fn a_close_is_answered_and_is_the_end() {
    let (mut server, mut client) = server();
    client
        .write_all(&frame(0x88, b"\x03\xe9bye"))
        .await
        .unwrap();
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    assert!(server.write_all(b"more").await.is_err());
    server.shutdown().await.unwrap();
    let mut said = Vec::new();
    client.read_to_end(&mut said).await.unwrap();
    assert_eq!(said, b"\x88\x02\x03\xe9");
}

#[tokio::test]
async fn an_end_within_a_frame_is_none() {
    let (mut server, mut client) = server();
    client.write_all(&frame(0x82, b"abc")[..8]).await.unwrap();
    drop(client);
    assert_eq!(read(&mut server, 2).await, b"ab");
    let error = server.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn violations_are_told_and_end_the_connection() {
    for (first, code) in [
        (frame(0x81, b"text"), 1003_u16),
        (frame(0x80, b"of nothing"), 1002),
        ([frame(0x02, b""), frame(0x82, b"")].concat(), 1002),
        (frame(0xc2, b"compressed"), 1002),
        (frame(0x83, b""), 1002),
        (frame(0x09, b"a ping in parts"), 1002),
        (b"\x82\x05hello".to_vec(), 1002),
        (b"\x89\xfe\x00\x7e\0\0\0\0".to_vec(), 1002),
        (b"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0".to_vec(), 1002),
    ] {
        let (error, said) = refused(&first).await;
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{first:x?}");
        assert_eq!(
            said,
            [&[0x88, 2], &code.to_be_bytes()[..]].concat(),
            "{first:x?}"
        );
    }
    let (near, mut far) = duplex(100);
    let mut socket = WebSocket::new(near, Side::Client);
    far.write_all(&frame(0x82, b"masked")).await.unwrap();
    let error = socket.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn pings_without_number_cost_one_pong() {
    let (near, mut client) = duplex(64);
    let mut server = WebSocket::new(near, Side::Server);
    // The client reads nothing: what the server says fills the pipe.
    let flood = tokio::spawn(async move {
        for number in 0..10_000_u16 {
            let ping = frame(0x89, &number.to_be_bytes());
            client.write_all(&ping).await.unwrap();
        }
        client.write_all(&frame(0x82, b"x")).await.unwrap();
        client
    });
    assert_eq!(read(&mut server, 1).await, b"x");
    let mut client = flood.await.unwrap();
    assert!(server.sender.rest().len() < 200);
    drop(server);
    let mut said = Vec::new();
    client.read_to_end(&mut said).await.unwrap();
    assert!(said.len() < 400, "{}", said.len());
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(
        writes in vec(vec(any::<u8>(), 1..3000), 1..8),
        pipe in 1..5000_usize,
        piece in 1..5000_usize,
        client_writes: bool,
    ) {
        let sides = if client_writes { (Side::Client, Side::Server) } else { (Side::Server, Side::Client) };
        let expected = writes.concat();
        let read = runtime().block_on(async move {
            let (near, far) = duplex(pipe);
            let (mut from, mut to) = (WebSocket::new(near, sides.0), WebSocket::new(far, sides.1));
            let writing = async {
                for part in &writes {
                    from.write_all(part).await.unwrap();
                }
                from.shutdown().await.unwrap();
            };
            let reading = async {
                let (mut all, mut buffer) = (Vec::new(), vec![0; piece]);
                loop {
                    match to.read(&mut buffer).await.unwrap() {
                        0 => return all,
                        count => all.extend_from_slice(&buffer[..count]),
                    }
                }
            };
            tokio::join!(writing, reading).1
        });
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn strangers_bytes_end_in_an_answer(bytes in vec(any::<u8>(), 0..200)) {
        runtime().block_on(async {
            let (mut server, mut client) = server();
            client.write_all(&bytes).await.unwrap();
            drop(client);
            let mut read = Vec::new();
            let _ = server.read_to_end(&mut read).await;
            assert!(read.len() <= bytes.len());
        });
    }
}
