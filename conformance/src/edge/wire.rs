//! Section 7.3: the mux, frame by frame.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::OwnedMutexGuard,
    time::{Instant, timeout},
};
use tokio_rustls::client::TlsStream;

use super::{
    Peer,
    connect::told,
    session::{LET_GO, Session},
    upgrade::ask,
    visitor::bound,
};
use crate::{
    case::{Outcome, ensure, failed, within},
    exchange::exactly,
    frame::{ACK, DATA, FIRST_WINDOW, Frame, GO_AWAY, PING, RST, SYN, WINDOW},
    head::Head,
};

const PROTOCOL: u32 = 1;
const AUTH: u32 = 3;
/// The control stream.
const CONTROL: u32 = 1;
/// Streams that are opened in spite of refusals: more than any edge need bear.
const OBSTINATE: u32 = 5_000;

/// The kit as an agent that speaks in frames.
struct Mux(TlsStream<TcpStream>);

pub(super) async fn acknowledged(peer: Peer) -> Outcome {
    let mut mux = Mux::connect(&peer).await?;
    mux.hello(&peer.hello()).await?;
    let first = mux
        .until("frame for the control stream", |f| f.stream == CONTROL)
        .await?;
    ensure!(
        first.has(ACK),
        "the first frame in answer has no ACK: {first:?}"
    );
    Ok(())
}

pub(super) async fn ping(peer: Peer) -> Outcome {
    let mut mux = Mux::connect(&peer).await?;
    mux.send(&Frame::new(PING, SYN, 0, 0xFEED_BEEF)).await?;
    let pong = mux
        .until("answer to a ping", |f| f.kind == PING && f.has(ACK))
        .await?;
    ensure!(
        pong.length == 0xFEED_BEEF,
        "the answer has the number {:#x}",
        pong.length
    );
    Ok(())
}

pub(super) async fn pings(peer: Peer) -> Outcome {
    let mut mux = Mux::connect(&peer).await?;
    mux.hello(&peer.hello()).await?;
    mux.until("ping", |f| f.kind == PING && f.has(SYN))
        .await
        .map(drop)
}

pub(super) async fn version(peer: Peer) -> Outcome {
    let frame = Frame {
        version: 1,
        ..Frame::new(PING, SYN, 0, 1)
    };
    broken_by(&peer, &frame).await
}

pub(super) async fn kind(peer: Peer) -> Outcome {
    broken_by(&peer, &Frame::new(4, 0, 0, 0)).await
}

/// The agent opens odd numbers only.
pub(super) async fn even(peer: Peer) -> Outcome {
    broken_by(&peer, &Frame::data(SYN, 2, "{}\n")).await
}

/// More than the window allows, in one frame.
pub(super) async fn overrun(peer: Peer) -> Outcome {
    let mut mux = Mux::connect(&peer).await?;
    let blank = vec![b'\n'; FIRST_WINDOW as usize + 1];
    // The edge may close before it has read the whole frame.
    let _ = mux.send(&Frame::data(SYN, CONTROL, blank)).await;
    mux.ends_with(PROTOCOL).await
}

/// What is beyond the first stream before `welcome` is refused, and who goes on is closed.
pub(super) async fn obstinate(peer: Peer) -> Outcome {
    let mut mux = Mux::connect(&peer).await?;
    mux.send(&Frame::data(SYN, CONTROL, "\n")).await?;
    mux.send(&Frame::data(SYN, 3, "\n")).await?;
    let refusal = mux
        .until("refusal", |f| f.stream == 3 && f.has(RST))
        .await?;
    ensure!(
        refusal.kind == WINDOW && refusal.length == 0x22,
        "refused by {refusal:?}"
    );
    for id in 2..OBSTINATE {
        if mux.send(&Frame::data(SYN, 2 * id + 1, "\n")).await.is_err() {
            break;
        }
    }
    mux.ends_with(PROTOCOL).await
}

/// A refusal's code is in the go away.
pub(super) async fn go_away_code(peer: Peer) -> Outcome {
    let mut mux = Mux::connect(&peer).await?;
    let mut hello = peer.hello();
    hello["token"] = "another nonsense".into();
    mux.hello(&hello).await?;
    mux.ends_with(AUTH).await
}

/// After a go away of the agent no stream is opened.
pub(super) async fn after_go_away(peer: Peer) -> Outcome {
    let (mut mux, welcome, _guard) = Mux::serve(&peer).await?;
    mux.send(&Frame::new(GO_AWAY, 0, 0, 0)).await?;
    mux.send(&Frame::new(PING, SYN, 0, 1)).await?;
    // An edge may also close at once: all its streams have ended.
    let _ = mux
        .until("answer to a ping", |f| f.kind == PING && f.has(ACK))
        .await;
    let Ok(mut visitor) = peer.visit(&welcome).await else {
        return Ok(());
    };
    // His connection may be gone already.
    let _ = visitor.write_all(b"anyone?").await;
    let opened = mux.until("stream", |f| f.has(SYN) && f.kind == DATA);
    match timeout(Duration::from_millis(700), opened).await {
        Ok(Ok(frame)) => failed(format!(
            "stream {} is opened after the go away",
            frame.stream
        )),
        _ => Ok(()),
    }
}

/// Without credit the edge sends no more than the first window.
pub(super) async fn window(peer: Peer) -> Outcome {
    let (mut mux, welcome, _guard) = Mux::serve(&peer).await?;
    let mut visitor = peer.visit(&welcome).await?;
    let own = visitor.local_addr()?;
    let pouring = tokio::spawn(async move {
        crate::exchange::pour(&mut visitor, &vec![7; 2 << 20]).await;
        visitor
    });
    let first = mux.stream_of(own).await?;
    ensure!(
        first.stream % 2 == 0,
        "the edge opens stream {}",
        first.stream
    );
    let mut sent = first.body.len();
    mux.send(&Frame::data(ACK, first.stream, [0])).await?;
    while let Ok(frame) = timeout(Duration::from_secs(1), Frame::read(&mut mux.0)).await {
        let frame = frame?;
        if frame.stream == first.stream && frame.kind == DATA {
            sent += frame.body.len();
        }
        ensure!(sent <= FIRST_WINDOW as usize, "{sent} bytes without credit");
        mux.answer(&frame).await?;
    }
    drop(pouring.await);
    ensure!(
        sent == FIRST_WINDOW as usize,
        "only {sent} bytes of the first window are used"
    );
    Ok(())
}

/// Other libraries send no code with a reset.
pub(super) async fn reset_zero(peer: Peer) -> Outcome {
    use tokio::io::AsyncReadExt;
    let (mut mux, welcome, _guard) = Mux::serve(&peer).await?;
    let mut visitor = peer.visit(&welcome).await?;
    let own = visitor.local_addr()?;
    let first = mux.stream_of(own).await?;
    mux.send(&Frame::data(ACK, first.stream, "\0part")).await?;
    exactly(&mut visitor, b"part").await?;
    mux.send(&Frame::new(WINDOW, RST, first.stream, 0)).await?;
    let mut rest = Vec::new();
    let end = within("reset", visitor.read_to_end(&mut rest)).await?;
    ensure!(end.is_err(), "the visitor is shown an end");
    Ok(())
}

async fn broken_by(peer: &Peer, frame: &Frame) -> Outcome {
    let mut mux = Mux::connect(peer).await?;
    mux.hello(&peer.hello()).await?;
    mux.until("welcome", |f| f.kind == DATA && f.body.ends_with(b"\n"))
        .await?;
    mux.send(frame).await?;
    mux.ends_with(PROTOCOL).await
}

impl Mux {
    async fn connect(peer: &Peer) -> Outcome<Self> {
        let mut tls = peer.tls(&[b"http/1.1"]).await?;
        let answer = ask(&mut tls, &peer.tunnel("GET", "adit-mux")).await?;
        ensure!(
            answer.status == 101,
            "status {} for a tunnel",
            answer.status
        );
        Ok(Self(tls))
    }

    /// A session with all the endpoints of the token, which must hold a `tcp` one.
    async fn serve(peer: &Peer) -> Outcome<(Self, Value, OwnedMutexGuard<()>)> {
        peer.granted("tcp")?;
        let (session, _) = Session::serve(peer).await?;
        let guard = session.leave().await?;
        let began = Instant::now();
        loop {
            let mut mux = Self::connect(peer).await?;
            mux.hello(&peer.hello_for_all()).await?;
            let line = mux
                .until("welcome", |f| f.kind == DATA && f.body.ends_with(b"\n"))
                .await?;
            let first = line
                .body
                .split(|byte| *byte == b'\n')
                .next()
                .unwrap_or_default();
            let welcome: Value = serde_json::from_slice(first).map_err(told)?;
            // The edge may not have noticed yet that the session before is gone.
            if bound(&welcome, "tcp").is_ok() || began.elapsed() > LET_GO {
                return Ok((mux, welcome, guard));
            }
            drop(mux);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn hello(&mut self, hello: &Value) -> Outcome {
        self.send(&Frame::data(SYN, CONTROL, format!("{hello}\n")))
            .await
    }

    async fn send(&mut self, frame: &Frame) -> Outcome {
        Ok(frame.write(&mut self.0).await?)
    }

    /// The first frame that is wanted. Pings are answered on the way.
    async fn until(&mut self, what: &str, wanted: impl Fn(&Frame) -> bool) -> Outcome<Frame> {
        within(what, async {
            loop {
                let frame = Frame::read(&mut self.0).await?;
                // Who has gone away needs no answer, and what it said before is still read.
                let _ = self.answer(&frame).await;
                if wanted(&frame) {
                    return Ok(frame);
                }
            }
        })
        .await?
    }

    /// The first frame of this visitor's stream.
    async fn stream_of(&mut self, visitor: SocketAddr) -> Outcome<Frame> {
        loop {
            let first = self
                .until("stream", |f| f.has(SYN) && f.kind == DATA)
                .await?;
            let head = Head::read(&mut first.body.as_slice()).await?;
            if head.may_be_of(visitor) {
                return Ok(first);
            }
        }
    }

    async fn answer(&mut self, frame: &Frame) -> Outcome {
        if frame.kind == PING && frame.has(SYN) {
            self.send(&Frame::new(PING, ACK, 0, frame.length)).await?;
        }
        Ok(())
    }

    /// The edge goes away with `code`.
    async fn ends_with(&mut self, code: u32) -> Outcome {
        let ended = self.until("go away", |frame| frame.kind == GO_AWAY).await?;
        ensure!(
            ended.code() == code,
            "go away with code {} instead of {code}",
            ended.code()
        );
        Ok(())
    }
}
