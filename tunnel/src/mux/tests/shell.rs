//! The handles and the driver, over a connection in memory.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::future::join_all;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};

use super::{
    super::{Budget, Config, Connection, MuxError, Role, Stream},
    pattern,
};
use crate::{Code, StreamReset};

pub(super) const MIB: usize = 1 << 20;

pub(super) fn config() -> Config {
    Config {
        max_peer_streams: 2000,
        ..Config::default()
    }
}

/// Client and server over `wire` bytes.
fn pair_over(wire: usize) -> (Connection, Connection) {
    let (left, right) = duplex(wire);
    let client = Connection::new(left, Role::Client, config());
    (client, Connection::new(right, Role::Server, config()))
}

pub(super) fn pair() -> (Connection, Connection) {
    pair_over(MIB)
}

pub(super) async fn streams(from: &Connection, to: &Connection) -> (Stream, Stream) {
    let mut opened = from.open().unwrap();
    opened.write_all(b"h").await.unwrap();
    let mut accepted = to.accept().await.unwrap();
    assert_eq!(accepted.read_u8().await.unwrap(), b'h');
    (opened, accepted)
}

pub(super) async fn rest(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.map(|_| bytes)
}

pub(super) fn cause<T: std::fmt::Debug>(result: io::Result<T>) -> MuxError {
    let error = result.unwrap_err();
    error
        .get_ref()
        .unwrap()
        .downcast_ref::<MuxError>()
        .unwrap()
        .clone()
}

pub(super) fn reset<T: std::fmt::Debug>(result: io::Result<T>) -> Code {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    StreamReset::of(&error).unwrap().code
}

/// Counts the writes of a connection, and their bytes.
struct Counted {
    io: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn one_write_carries_the_frames_of_many_streams() {
    let (left, right) = duplex(MIB);
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Counted {
        io: left,
        writes: Arc::clone(&writes),
    };
    let client = Connection::new(counted, Role::Client, config());
    let server = Connection::new(right, Role::Server, config());
    let (mut first, _first) = streams(&client, &server).await;
    first.write_all(b"x").await.unwrap();
    tokio::task::yield_now().await;
    let before = writes.load(Ordering::Relaxed);
    let mut opened = Vec::new();
    for _ in 0..100 {
        let mut stream = client.open().unwrap();
        stream.write_all(&[1; 100]).await.unwrap();
        opened.push(stream);
    }
    for _ in 0..100 {
        let mut stream = server.accept().await.unwrap();
        stream.read_exact(&mut [0; 100]).await.unwrap();
    }
    assert_eq!(writes.load(Ordering::Relaxed) - before, 1);
}

#[tokio::test]
async fn a_thousand_streams_at_once() {
    for wire in [MIB, 1000] {
        let (client, server) = pair_over(wire);
        let echo = async {
            for _ in 0..1000 {
                let mut stream = server.accept().await.unwrap();
                tokio::spawn(async move {
                    let bytes = rest(&mut stream).await.unwrap();
                    stream.write_all(&bytes).await.unwrap();
                    stream.shutdown().await.unwrap();
                });
            }
        };
        let visits = (0..1000).map(|n| {
            let mut stream = client.open().unwrap();
            async move {
                let sent = pattern(n, 0, 3000);
                stream.write_all(&sent).await.unwrap();
                stream.shutdown().await.unwrap();
                assert!(rest(&mut stream).await.unwrap() == sent);
            }
        });
        tokio::join!(echo, join_all(visits));
        assert_eq!(client.stats().streams, 0);
        assert_eq!(client.closed_now(), None);
    }
}

impl Connection {
    pub(super) fn closed_now(&self) -> Option<MuxError> {
        use futures_util::FutureExt;
        self.closed().now_or_never()
    }
}

#[tokio::test]
async fn a_stalled_reader_costs_only_its_own_stream() {
    let (client, server) = pair();
    let mut stalled = Vec::new();
    for _ in 0..10 {
        stalled.push(streams(&client, &server).await);
    }
    let written: Vec<_> = stalled.iter().map(|_| AtomicUsize::new(0)).collect();
    let fill = stalled
        .iter_mut()
        .zip(&written)
        .map(|((stream, _), written)| async {
            while let Ok(n) = stream.write(&[0; 4096]).await {
                written.fetch_add(n, Ordering::Relaxed);
            }
        });
    let (mut quick, mut reader) = streams(&client, &server).await;
    let pass = async {
        let sent = vec![7; 32 * MIB];
        let write = async {
            quick.write_all(&sent).await.unwrap();
            quick.shutdown().await.unwrap();
        };
        let ((), received) = tokio::join!(write, rest(&mut reader));
        assert_eq!(received.unwrap().len(), sent.len());
    };
    tokio::select! {
        _ = join_all(fill) => panic!("nobody reads"),
        () = pass => {}
    }
    // What was written and not read is one first window, the greeting less.
    for written in written {
        assert_eq!(written.into_inner(), 256 * 1024 - 1);
    }
}

#[tokio::test]
async fn both_directions_at_once_and_a_slow_reader_lose_nothing() {
    let (client, server) = pair_over(5000);
    let (mut one, mut other) = streams(&client, &server).await;
    let there = pattern(1, 0, 3 * MIB);
    let back = pattern(2, 0, 2 * MIB);
    let (mut one_read, mut one_write) = tokio::io::split(&mut one);
    let (mut other_read, mut other_write) = tokio::io::split(&mut other);
    let write_one = async {
        one_write.write_all(&there).await.unwrap();
        one_write.shutdown().await.unwrap();
    };
    let write_other = async {
        other_write.write_all(&back).await.unwrap();
        other_write.shutdown().await.unwrap();
    };
    let read_other = async {
        let mut got = Vec::new();
        let mut piece = vec![0; 1777];
        loop {
            match other_read.read(&mut piece).await.unwrap() {
                0 => break got,
                n => got.extend_from_slice(&piece[..n]),
            }
        }
    };
    let read_one = async {
        let mut got = Vec::new();
        one_read.read_to_end(&mut got).await.unwrap();
        got
    };
    let ((), (), got_there, got_back) = tokio::join!(write_one, write_other, read_other, read_one);
    assert!(got_there == there && got_back == back);
}

#[tokio::test]
async fn streams_nobody_acknowledges_do_not_stall_new_ones() {
    let (left, mut wire) = duplex(MIB);
    let client = Connection::new(left, Role::Client, config());
    let mut opened = Vec::new();
    for _ in 0..600 {
        let mut stream = client.open().unwrap();
        stream.write_all(b"12345678").await.unwrap();
        opened.push(stream);
    }
    // The ping of the start, and the frames.
    wire.read_exact(&mut vec![0; 12 + 600 * 20]).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_only_listens_is_opened() {
    let (client, server) = pair();
    let mut listening = client.open().unwrap();
    let (got, ()) = tokio::join!(listening.read_u8(), async {
        server
            .accept()
            .await
            .unwrap()
            .write_all(b"!")
            .await
            .unwrap();
    });
    assert_eq!(got.unwrap(), b'!');
    let mut flushed = client.open().unwrap();
    flushed.flush().await.unwrap();
    let mut accepted = server.accept().await.unwrap();
    drop(flushed);
    assert_eq!(reset(accepted.read_u8().await), Code::Aborted);
}

#[tokio::test]
async fn a_full_budget_takes_no_new_streams_and_comes_back() {
    let budget = Arc::new(Budget::new(MIB));
    let shared = Config {
        budget: Arc::clone(&budget),
        ..config()
    };
    let (left, right) = duplex(MIB);
    let client = Connection::new(left, Role::Client, config());
    let server = Connection::new(right, Role::Server, shared);
    let mut full = Vec::new();
    for _ in 0..5 {
        let (mut stream, unread) = streams(&client, &server).await;
        stream.write_all(&vec![0; 256 * 1024 - 1]).await.unwrap();
        full.push((stream, unread));
    }
    // What is written next stands behind all that.
    let mut beyond = client.open().unwrap();
    beyond.write_all(b"h").await.unwrap();
    assert_eq!(reset(beyond.read_u8().await), Code::StreamLimit);
    assert_eq!(server.open().unwrap_err(), MuxError::Busy);
    full.pop();
    full.pop();
    let (_stream, _accepted) = streams(&client, &server).await;
    drop(full);
    drop((client, _stream, _accepted));
    server.closed().await;
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn only_admitted_peers_get_streams_and_windows() {
    let (left, right) = duplex(MIB);
    let client = Connection::new(left, Role::Client, config());
    let server = Connection::new(right, Role::Server, Config::default());
    let (_control, _hello) = streams(&client, &server).await;
    let mut early = client.open().unwrap();
    early.write_all(b"x").await.unwrap();
    assert_eq!(reset(early.read_u8().await), Code::StreamLimit);
    server.admit(2);
    let (_one, _other) = streams(&client, &server).await;
    assert_eq!(server.stats().refused, 1);
}
