//! Against the `yamux` crate, in both roles.

use std::future::poll_fn;

use futures_util::{AsyncReadExt as _, AsyncWriteExt as _, future::join_all};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::compat::TokioAsyncReadCompatExt;

use super::{
    super::{Config, Connection, MuxError, Role},
    pattern,
};
use crate::{Code, StreamReset};

const MIB: usize = 1 << 20;

enum Order {
    Open(oneshot::Sender<yamux::Stream>),
    Close,
}

/// The crate's session, with a task that keeps it going.
struct Theirs {
    orders: mpsc::Sender<Order>,
    arrivals: mpsc::Receiver<yamux::Stream>,
    task: JoinHandle<()>,
}

impl Theirs {
    fn new(io: DuplexStream, mode: yamux::Mode) -> Self {
        let (orders, mut ordered) = mpsc::channel(8);
        let (arrive, arrivals) = mpsc::channel(8);
        let mut config = yamux::Config::default();
        config.set_split_send_size(100_000);
        let mut connection = yamux::Connection::new(io.compat(), config, mode);
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    order = ordered.recv() => match order {
                        Some(Order::Open(reply)) => {
                            let stream = poll_fn(|cx| connection.poll_new_outbound(cx)).await.unwrap();
                            let _ = reply.send(stream);
                        }
                        Some(Order::Close) | None => {
                            let _ = poll_fn(|cx| connection.poll_close(cx)).await;
                            return;
                        }
                    },
                    arrival = poll_fn(|cx| connection.poll_next_inbound(cx)) => match arrival {
                        Some(Ok(stream)) => arrive.send(stream).await.unwrap(),
                        _ => return,
                    },
                }
            }
        });
        Self {
            orders,
            arrivals,
            task,
        }
    }

    async fn open(&self) -> yamux::Stream {
        let (reply, stream) = oneshot::channel();
        self.orders.send(Order::Open(reply)).await.ok().unwrap();
        stream.await.unwrap()
    }
}

fn pair(role: Role) -> (Connection, Theirs) {
    let (left, right) = duplex(70_000);
    let config = Config {
        max_peer_streams: 1000,
        ..Config::default()
    };
    let mode = match role {
        Role::Client => yamux::Mode::Server,
        Role::Server => yamux::Mode::Client,
    };
    (
        Connection::new(left, role, config),
        Theirs::new(right, mode),
    )
}

#[tokio::test]
async fn we_open_and_they_echo() {
    for role in [Role::Client, Role::Server] {
        let (ours, mut theirs) = pair(role);
        let echo = async {
            for _ in 0..20 {
                let stream = theirs.arrivals.recv().await.unwrap();
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    futures_util::io::copy(&mut read, &mut write).await.unwrap();
                    write.close().await.unwrap();
                });
            }
        };
        let visits = (0..20).map(|n| {
            let mut stream = ours.open().unwrap();
            async move {
                let sent = pattern(n, 0, MIB + n as usize);
                let mut got = Vec::new();
                let (mut read, mut write) = tokio::io::split(&mut stream);
                let writing = async {
                    write.write_all(&sent).await.unwrap();
                    write.shutdown().await.unwrap();
                };
                let ((), n) = tokio::join!(writing, read.read_to_end(&mut got));
                assert!(n.unwrap() == sent.len() && got == sent);
            }
        });
        tokio::join!(echo, join_all(visits));
        assert_eq!(ours.stats().streams, 0);
    }
}

#[tokio::test]
async fn they_open_and_we_echo() {
    for role in [Role::Client, Role::Server] {
        let (ours, theirs) = pair(role);
        let echo = async {
            for _ in 0..20 {
                let mut stream = ours.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut read, mut write) = tokio::io::split(&mut stream);
                    tokio::io::copy(&mut read, &mut write).await.unwrap();
                    write.shutdown().await.unwrap();
                });
            }
        };
        let visits = (0..20).map(|n| {
            let theirs = &theirs;
            async move {
                let (mut read, mut write) = theirs.open().await.split();
                let sent = pattern(n, 0, 2 * MIB + n as usize);
                let mut got = Vec::new();
                let writing = async {
                    write.write_all(&sent).await.unwrap();
                    write.close().await.unwrap();
                };
                let ((), n) = tokio::join!(writing, read.read_to_end(&mut got));
                assert!(n.unwrap() == sent.len() && got == sent);
            }
        });
        tokio::join!(echo, join_all(visits));
    }
}

#[tokio::test]
async fn their_streams_are_acknowledged_before_anyone_answers() {
    let (ours, theirs) = pair(Role::Server);
    let mut opened = Vec::new();
    let mut accepted = Vec::new();
    // The crate stops at 256 streams that are not acknowledged.
    for _ in 0..400 {
        let mut stream = theirs.open().await;
        stream.write_all(b"x").await.unwrap();
        stream.flush().await.unwrap();
        opened.push(stream);
        accepted.push(ours.accept().await.unwrap());
    }
    assert_eq!(ours.stats().streams, 400);
}

#[tokio::test]
async fn their_abort_is_a_reset_and_ours_stops_them() {
    let (ours, mut theirs) = pair(Role::Client);
    let mut stream = ours.open().unwrap();
    stream.write_all(b"x").await.unwrap();
    drop(theirs.arrivals.recv().await.unwrap());
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(
        StreamReset::of(&error),
        Some(StreamReset {
            code: Code::Aborted
        })
    );
    let mut stream = ours.open().unwrap();
    stream.write_all(b"x").await.unwrap();
    let mut at_theirs = theirs.arrivals.recv().await.unwrap();
    stream.reset(Code::Timeout);
    let writing = async { while at_theirs.write_all(&[0; 5000]).await.is_ok() {} };
    writing.await;
    let (mut next, ours_next) = (theirs.open().await, ours.accept());
    next.write_all(b"still alive").await.unwrap();
    ours_next.await.unwrap().read_u8().await.unwrap();
}

#[tokio::test]
async fn goodbyes_are_understood() {
    let (ours, theirs) = pair(Role::Server);
    theirs.orders.send(Order::Close).await.ok().unwrap();
    assert_eq!(ours.closed().await, MuxError::Closed(Code::Ok));
    ours.finished().await;
    let (ours, theirs) = pair(Role::Server);
    ours.close(Code::Ok);
    theirs.task.await.unwrap();
    ours.finished().await;
}
