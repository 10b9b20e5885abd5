//! Section 7.3: the mux of an agent, frame by frame.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::server::TlsStream;

use super::{
    Peer,
    host::{Host, told},
    session::head,
};
use crate::{
    case::{Outcome, ensure, within},
    exchange::pour,
    frame::{ACK, DATA, FIRST_WINDOW, Frame, GO_AWAY, PING, SYN},
};

const CONTROL: u32 = 1;
/// The edge's first stream.
const VISIT: u32 = 2;
const PROTOCOL: u32 = 1;

/// The kit as an edge that speaks in frames.
struct Mux(TlsStream<TcpStream>);

pub(super) async fn ping(peer: Peer) -> Outcome {
    let (_host, mut mux) = Mux::welcomed(&peer).await?;
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

pub(super) async fn acknowledged(peer: Peer) -> Outcome {
    let (_host, mut mux) = Mux::welcomed(&peer).await?;
    mux.send(&Frame::data(SYN, VISIT, head(1))).await?;
    let first = mux
        .until("frame for the stream", |f| f.stream == VISIT)
        .await?;
    ensure!(
        first.has(ACK),
        "the first frame in answer has no ACK: {first:?}"
    );
    Ok(())
}

pub(super) async fn version(peer: Peer) -> Outcome {
    let (_host, mut mux) = Mux::welcomed(&peer).await?;
    let frame = Frame {
        version: 1,
        ..Frame::new(PING, SYN, 0, 1)
    };
    mux.send(&frame).await?;
    let end = mux.until("go away", |frame| frame.kind == GO_AWAY).await?;
    ensure!(end.code() == PROTOCOL, "go away with code {}", end.code());
    Ok(())
}

/// Without credit the agent sends no more than the first window.
pub(super) async fn window(peer: Peer) -> Outcome {
    let (host, mut mux) = Mux::welcomed(&peer).await?;
    mux.send(&Frame::data(SYN, VISIT, head(1))).await?;
    let mut origin = host.dialled().await?;
    let pouring = tokio::spawn(async move {
        pour(&mut origin, &vec![7; 2 << 20]).await;
        origin
    });
    let mut sent = 0;
    while let Ok(frame) = timeout(Duration::from_secs(1), Frame::read(&mut mux.0)).await {
        let frame = frame?;
        if frame.stream == VISIT && frame.kind == DATA {
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

impl Mux {
    /// The agent is bound under the id 1.
    async fn welcomed(peer: &Peer) -> Outcome<(Host, Self)> {
        let host = Host::start(peer).await?;
        let mut mux = Self(host.upgraded().await?);
        let line = mux
            .until("hello", |f| f.kind == DATA && f.body.ends_with(b"\n"))
            .await?;
        let hello: Value = serde_json::from_slice(&line.body).map_err(told)?;
        let mut bound = hello["bind"][0].clone();
        if bound.is_null() {
            bound = json!({"id": 1, "kind": "tcp", "port": 1});
        }
        let welcome = json!({
            "t": "welcome", "v": 1, "session": "conformance", "edge": "kit", "bound": [bound],
            "session_exp": 9_000_000_000_u64,
        });
        mux.send(&Frame::data(ACK, CONTROL, format!("{welcome}\n")))
            .await?;
        Ok((host, mux))
    }

    async fn send(&mut self, frame: &Frame) -> Outcome {
        Ok(frame.write(&mut self.0).await?)
    }

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

    async fn answer(&mut self, frame: &Frame) -> Outcome {
        if frame.kind == PING && frame.has(SYN) {
            self.send(&Frame::new(PING, ACK, 0, frame.length)).await?;
        }
        Ok(())
    }
}
