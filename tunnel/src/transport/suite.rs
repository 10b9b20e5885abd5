//! One suite for all bindings: a function takes a fresh pair of ends, and holds whatever carries them.

use std::{io, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::join_all};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Transport, TransportError};
use crate::{Code, Stream, StreamReset};

const MIB: usize = 1 << 20;
/// Longer than anything here takes; a suite that waits for ever helps nobody.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Pair {
    /// Dials.
    pub(crate) agent: Arc<dyn Transport>,
    /// Is dialled, and has not admitted the agent yet.
    pub(crate) edge: Arc<dyn Transport>,
    /// Sockets and the like that must outlive the ends.
    pub(crate) _ground: Box<dyn std::any::Any + Send>,
}

/// Instantiates the suite for the binding that `$connect` makes pairs of.
macro_rules! suite {
    ($connect:path; $($name:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $name() {
            let pair = $connect().await;
            $crate::transport::suite::patiently($crate::transport::suite::$name(pair)).await;
        }
    )*};
    ($connect:path) => {
        $crate::transport::suite::suite!(
            $connect;
            both_sides_open,
            each_direction_ends_by_itself,
            the_accepting_side_may_speak_first,
            a_reset_is_seen_as_a_reset,
            a_reset_stops_the_writer,
            a_dropped_stream_is_an_abort,
            a_dropped_stream_stops_its_peer,
            a_refusal_is_delivered_though_nothing_is_read,
            an_ended_stream_is_delivered_after_its_drop,
            many_streams_carry_their_own_bytes,
            a_stalled_stream_stalls_no_other,
            a_close_tells_its_code,
            one_stream_before_admission,
            totals_and_round_trips_are_counted,
        );
    };
}
pub(crate) use suite;

pub(crate) async fn patiently(test: impl Future<Output = ()>) {
    tokio::time::timeout(PATIENCE, test)
        .await
        .expect("the test hangs");
}

/// A stream that the edge opened to an agent it knows, with one byte in place of a head.
async fn stream(pair: &Pair) -> (Stream, Stream) {
    pair.edge.admit(16);
    let mut at_edge = pair.edge.open().await.unwrap();
    at_edge.write_all(b"h").await.unwrap();
    at_edge.flush().await.unwrap();
    let mut at_agent = pair.agent.accept().await.unwrap();
    assert_eq!(at_agent.read_u8().await.unwrap(), b'h');
    (at_edge, at_agent)
}

async fn rest(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.map(|_| bytes)
}

fn reset_of<T: std::fmt::Debug>(result: io::Result<T>) -> Code {
    let error = result.expect_err("an abort must not look like an end");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    StreamReset::of(&error).expect("a reset").code
}

/// Writes until it fails, and gives the failure.
async fn write_on(stream: &mut Stream) -> io::Result<()> {
    loop {
        stream.write_all(&[0; 4096]).await?;
        stream.flush().await?;
    }
}

pub(crate) async fn both_sides_open(pair: Pair) {
    let mut control = pair.agent.open().await.unwrap();
    control.write_all(b"hello").await.unwrap();
    control.flush().await.unwrap();
    let mut at_edge = pair.edge.accept().await.unwrap();
    let mut line = [0; 5];
    at_edge.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"hello");
    let (_first, _a) = stream(&pair).await;
    let (_second, _b) = stream(&pair).await;
}

pub(crate) async fn each_direction_ends_by_itself(pair: Pair) {
    for edge_ends_first in [true, false] {
        let (at_edge, at_agent) = stream(&pair).await;
        let (mut first, mut second) = if edge_ends_first {
            (at_edge, at_agent)
        } else {
            (at_agent, at_edge)
        };
        first.write_all(b"request").await.unwrap();
        first.shutdown().await.unwrap();
        assert_eq!(rest(&mut second).await.unwrap(), b"request");
        let (mut read, sent) = (Vec::new(), vec![7; MIB]);
        let writing = async {
            second.write_all(&sent).await?;
            second.shutdown().await
        };
        tokio::try_join!(writing, first.read_to_end(&mut read)).unwrap();
        assert!(read == sent, "changed on its way");
        // The end stays the end.
        assert_eq!(rest(&mut second).await.unwrap(), b"");
        second.shutdown().await.unwrap();
    }
}

pub(crate) async fn the_accepting_side_may_speak_first(pair: Pair) {
    let (mut at_edge, mut at_agent) = stream(&pair).await;
    at_agent.write_all(b"220 ready").await.unwrap();
    at_agent.flush().await.unwrap();
    let mut greeting = [0; 9];
    at_edge.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"220 ready");
}

pub(crate) async fn a_reset_is_seen_as_a_reset(pair: Pair) {
    for code in [Code::Aborted, Code::Timeout, Code::StreamLimit] {
        let (mut at_edge, mut at_agent) = stream(&pair).await;
        at_agent.reset(code);
        assert_eq!(reset_of(rest(&mut at_edge).await), code);
        let (mut at_edge, mut at_agent) = stream(&pair).await;
        at_edge.reset(code);
        assert_eq!(reset_of(rest(&mut at_agent).await), code);
    }
}

pub(crate) async fn a_reset_stops_the_writer(pair: Pair) {
    let (mut at_edge, mut at_agent) = stream(&pair).await;
    let writing = write_on(&mut at_edge);
    at_agent.reset(Code::OriginRefused);
    assert_eq!(reset_of(writing.await), Code::OriginRefused);
    assert!(at_agent.write_all(b"x").await.is_err(), "it was reset here");
}

pub(crate) async fn a_dropped_stream_is_an_abort(pair: Pair) {
    for edge_drops in [true, false] {
        let (at_edge, at_agent) = stream(&pair).await;
        let (mut dropped, mut kept) = if edge_drops {
            (at_edge, at_agent)
        } else {
            (at_agent, at_edge)
        };
        dropped.write_all(b"half of a bo").await.unwrap();
        dropped.flush().await.unwrap();
        drop(dropped);
        assert_eq!(reset_of(rest(&mut kept).await), Code::Aborted);
    }
}

pub(crate) async fn a_dropped_stream_stops_its_peer(pair: Pair) {
    let (mut at_edge, mut at_agent) = stream(&pair).await;
    at_agent.shutdown().await.unwrap();
    drop(at_agent);
    assert_eq!(reset_of(write_on(&mut at_edge).await), Code::Aborted);
}

pub(crate) async fn a_refusal_is_delivered_though_nothing_is_read(pair: Pair) {
    let (mut at_edge, mut at_agent) = stream(&pair).await;
    at_edge.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    at_edge.flush().await.unwrap();
    at_agent.write_all(&[0x20]).await.unwrap();
    at_agent.shutdown().await.unwrap();
    drop(at_agent);
    assert_eq!(at_edge.read_u8().await.unwrap(), 0x20);
    assert_eq!(rest(&mut at_edge).await.unwrap(), b"");
}

pub(crate) async fn an_ended_stream_is_delivered_after_its_drop(pair: Pair) {
    let (mut at_edge, mut at_agent) = stream(&pair).await;
    at_edge.shutdown().await.unwrap();
    assert_eq!(rest(&mut at_agent).await.unwrap(), b"");
    at_agent.write_all(&[3; 100_000]).await.unwrap();
    at_agent.shutdown().await.unwrap();
    drop(at_agent);
    assert_eq!(rest(&mut at_edge).await.unwrap(), [3; 100_000]);
}

pub(crate) async fn many_streams_carry_their_own_bytes(pair: Pair) {
    let agent = Arc::clone(&pair.agent);
    let echo = tokio::spawn(async move {
        loop {
            let mut stream = agent.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut read, mut write) = tokio::io::split(&mut stream);
                tokio::io::copy(&mut read, &mut write).await.unwrap();
                write.shutdown().await.unwrap();
            });
        }
    });
    join_all((0..64_u8).map(|n| echoed(&pair, n))).await;
    echo.abort();
}

async fn echoed(pair: &Pair, n: u8) {
    let mut stream = pair.edge.open().await.unwrap();
    let sent: Vec<u8> = (0..MIB).map(|i| n ^ (i % 251) as u8).collect();
    let mut received = Vec::new();
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let writing = async {
        write.write_all(&sent).await?;
        write.shutdown().await
    };
    tokio::try_join!(writing, read.read_to_end(&mut received)).unwrap();
    assert!(received == sent, "stream {n} came back changed");
}

pub(crate) async fn a_stalled_stream_stalls_no_other(pair: Pair) {
    let (mut stalled, _unread) = stream(&pair).await;
    let filling = write_on(&mut stalled);
    let passing = async {
        let (mut at_edge, mut at_agent) = stream(&pair).await;
        let bytes = vec![9; 8 * MIB];
        let writing = async {
            at_edge.write_all(&bytes).await.unwrap();
            at_edge.shutdown().await.unwrap();
        };
        let ((), received) = tokio::join!(writing, rest(&mut at_agent));
        assert_eq!(received.unwrap().len(), bytes.len());
    };
    tokio::select! {
        ended = filling => panic!("nobody reads, and yet: {ended:?}"),
        () = passing => {}
    }
}

pub(crate) async fn a_close_tells_its_code(pair: Pair) {
    let (mut at_edge, mut at_agent) = stream(&pair).await;
    pair.edge.close(Code::Draining, "going for a walk");
    let seen = pair.agent.closed().await;
    assert_eq!(seen.code(), Some(Code::Draining), "{seen:?}");
    assert_eq!(pair.edge.closed().await, TransportError::ClosedHere);
    assert_eq!(pair.agent.accept().await.unwrap_err(), seen);
    assert_eq!(pair.agent.open().await.unwrap_err(), seen);
    let error = rest(&mut at_agent).await.unwrap_err();
    assert_eq!(TransportError::of(&error), Some(seen));
    assert!(rest(&mut at_edge).await.is_err(), "not an end");
}

pub(crate) async fn one_stream_before_admission(pair: Pair) {
    let mut control = pair.agent.open().await.unwrap();
    control.write_all(b"1").await.unwrap();
    control.flush().await.unwrap();
    let mut at_edge = pair.edge.accept().await.unwrap();
    let pushing = async {
        // Bindings differ in whether the opening waits or the stream is refused.
        if let Ok(mut second) = pair.agent.open().await {
            let _ = write_on(&mut second).await;
        }
        std::future::pending::<()>().await;
    };
    let pushed = tokio::select! {
        biased;
        () = pushing => false,
        // What comes back went out behind the second stream.
        () = there_and_back(&mut control, &mut at_edge) => true,
    };
    assert!(pushed && pair.edge.accept().now_or_never().is_none());
    pair.edge.admit(4);
    let admitted = async {
        loop {
            let mut stream = pair.agent.open().await.unwrap();
            if stream.write_all(b"2").await.is_ok() && stream.flush().await.is_ok() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = admitted => {}
        second = pair.edge.accept() => { second.unwrap(); }
    }
}

async fn there_and_back(here: &mut Stream, there: &mut Stream) {
    for _ in 0..3 {
        here.write_all(b"?").await.unwrap();
        here.flush().await.unwrap();
        there.read_u8().await.unwrap();
        there.write_all(b"!").await.unwrap();
        there.flush().await.unwrap();
        here.read_u8().await.unwrap();
    }
}

pub(crate) async fn totals_and_round_trips_are_counted(pair: Pair) {
    let (mut at_edge, mut at_agent) = stream(&pair).await;
    at_edge.write_all(&[0; 50_000]).await.unwrap();
    at_edge.shutdown().await.unwrap();
    assert_eq!(rest(&mut at_agent).await.unwrap().len(), 50_000);
    assert!(pair.edge.stats().bytes_out > 50_000);
    assert!(pair.agent.stats().bytes_in > 50_000);
    assert!(
        pair.agent
            .rtt()
            .is_none_or(|rtt| rtt < Duration::from_secs(5))
    );
    assert_eq!(pair.agent.kind(), pair.edge.kind());
    assert!(pair.agent.peer().ip().is_loopback());
}
