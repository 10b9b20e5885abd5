//! How sessions and streams end, over a connection in memory.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    time::{Instant, timeout},
};

use super::{
    super::{Connection, MuxError, Role, Violation},
    shell::{MIB, cause, config, pair, reset, rest, streams},
};
use crate::Code;

#[tokio::test]
async fn the_end_of_the_connection_is_an_abort() {
    let (left, right) = duplex(MIB);
    let client = Connection::new(left, Role::Client, config());
    // A server whose bytes we cut off.
    let (mut wire, inner) = duplex(MIB);
    let server = Connection::new(inner, Role::Server, config());
    let cut = tokio::spawn(async move {
        let mut right = right;
        let _ = timeout(
            Duration::from_millis(50),
            tokio::io::copy_bidirectional(&mut right, &mut wire),
        )
        .await;
    });
    let (mut open, mut there) = streams(&client, &server).await;
    let (mut ended, mut ending) = streams(&client, &server).await;
    there.write_all(b"half of a bo").await.unwrap();
    ending.write_all(b"all of it").await.unwrap();
    ending.shutdown().await.unwrap();
    cut.await.unwrap();
    let mut got = Vec::new();
    let result = open.read_to_end(&mut got).await;
    assert_eq!(
        (&got[..], cause(result)),
        (&b"half of a bo"[..], MuxError::Truncated)
    );
    assert_eq!(rest(&mut ended).await.unwrap(), b"all of it");
    assert_eq!(cause(open.write(b"x").await), MuxError::Truncated);
    assert_eq!(client.open().unwrap_err(), MuxError::Truncated);
    assert_eq!(client.accept().await.unwrap_err(), MuxError::Truncated);
    client.finished().await;
}

#[tokio::test]
async fn what_was_written_before_a_close_arrives() {
    let (client, server) = pair();
    let (mut control, mut reader) = streams(&client, &server).await;
    control.write_all(b"the reason\n").await.unwrap();
    client.close(Code::Draining);
    assert_eq!(server.closed().await, MuxError::Closed(Code::Draining));
    let mut line = [0; 11];
    reader.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"the reason\n");
    assert_eq!(
        cause(rest(&mut reader).await),
        MuxError::Closed(Code::Draining)
    );
    assert_eq!(cause(control.write(b"x").await), MuxError::ClosedHere);
    assert_eq!(client.closed().await, MuxError::ClosedHere);
    tokio::join!(client.finished(), server.finished());
}

#[tokio::test]
async fn who_waits_hears_of_the_end() {
    let (client, server) = pair();
    let (mut full, _unread) = streams(&client, &server).await;
    let (mut silent, _mute) = streams(&client, &server).await;
    // Tasks of their own: who waits beside another is woken with it.
    let writing = tokio::spawn(async move { full.write_all(&[0; MIB]).await });
    let reading = tokio::spawn(async move { silent.read_u8().await });
    let client = Arc::new(client);
    let acceptor = Arc::clone(&client);
    let accepting = tokio::spawn(async move { acceptor.accept().await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    server.close(Code::Replaced);
    let replaced = MuxError::Closed(Code::Replaced);
    let waited = async { tokio::try_join!(writing, reading, accepting).unwrap() };
    let (wrote, read, accepted) = timeout(Duration::from_secs(10), waited).await.unwrap();
    assert_eq!(
        (cause(wrote), cause(read)),
        (replaced.clone(), replaced.clone())
    );
    assert_eq!(accepted.unwrap_err(), replaced);
}

#[tokio::test]
async fn a_dropped_connection_says_goodbye() {
    let (client, server) = pair();
    let (_stream, mut reader) = streams(&client, &server).await;
    drop(client);
    assert_eq!(server.closed().await, MuxError::Closed(Code::Ok));
    assert_eq!(cause(rest(&mut reader).await), MuxError::Closed(Code::Ok));
}

#[tokio::test]
async fn resets_are_seen_by_readers_and_writers() {
    let (client, server) = pair();
    let (mut one, mut other) = streams(&client, &server).await;
    other.reset(Code::Timeout);
    assert_eq!(reset(rest(&mut one).await), Code::Timeout);
    assert_eq!(reset(one.write(b"x").await), Code::Timeout);
    let (mut one, other) = streams(&server, &client).await;
    drop(other);
    assert_eq!(reset(one.read_u8().await), Code::Aborted);
    // A writer that waits for credit hears of it.
    let (mut one, mut other) = streams(&client, &server).await;
    let sent = vec![0; MIB];
    let (result, ()) = tokio::join!(one.write_all(&sent), async {
        tokio::task::yield_now().await;
        other.reset(Code::OriginRefused);
    });
    assert_eq!(reset(result), Code::OriginRefused);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_times_out_and_a_live_one_does_not() {
    let (client, server) = pair();
    let (_one, _other) = streams(&client, &server).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!((client.closed_now(), server.closed_now()), (None, None));
    assert!(client.rtt().is_some() && server.rtt().is_some());
    // One ping and one answer each, every 15 s.
    assert!(client.stats().bytes_out < 45 * 24 + 100);
    let (left, _held) = duplex(MIB);
    let alone = Connection::new(left, Role::Client, config());
    let start = Instant::now();
    assert_eq!(alone.closed().await, MuxError::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 45);
    alone.finished().await;
    assert!(start.elapsed() < Duration::from_secs(52));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_cannot_hold_a_closed_session() {
    let (left, _held) = duplex(10);
    let client = Connection::new(left, Role::Client, config());
    let mut stream = client.open().unwrap();
    stream.write_all(&[0; 1000]).await.unwrap();
    client.close(Code::Ok);
    let start = Instant::now();
    client.finished().await;
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn garbage_is_answered_with_a_goodbye() {
    let (left, mut wire) = duplex(MIB);
    let server = Connection::new(left, Role::Server, config());
    wire.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let error = MuxError::Protocol(Violation::Version(b'G'));
    assert_eq!(server.closed().await, error);
    let mut answer = Vec::new();
    wire.read_to_end(&mut answer).await.unwrap();
    assert!(
        answer.ends_with(&[0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        "{answer:?}"
    );
    drop(wire);
    server.finished().await;
}
