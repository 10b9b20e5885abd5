//! Section 3: streams, as the agent and its origin see them.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tunnel::{Code, Stream, StreamReset};

use super::{
    Peer,
    host::Host,
    session::{Session, head, status, tlv, with_tlvs},
};
use crate::{
    case::{Outcome, ensure, failed, within},
    exchange::{exactly, pour, to_end},
};

const REFUSED: u8 = 0x20;
const LIMIT: u8 = 0x22;
/// Streams that are silent at once.
const SILENT: usize = 256;
/// Origins that stand still while another exchange goes on.
const STALLED: usize = 8;

pub(super) async fn visit(peer: Peer) -> Outcome {
    let (_host, _session, mut stream, mut origin) = pair(&peer).await?;
    stream.write_all(b"hello, origin").await?;
    stream.flush().await?;
    exactly(&mut origin, b"hello, origin").await?;
    origin.write_all(b"answer").await?;
    exactly(&mut stream, b"answer").await
}

/// What comes with the head is for the origin; its own first bytes wait for the status.
pub(super) async fn status_first(peer: Peer) -> Outcome {
    let (host, mut session) = Session::welcomed(&peer).await?;
    let mut stream = session.visit(b"status first").await?;
    let mut origin = host.dialled().await?;
    origin.write_all(b"220 ready").await?;
    exactly(&mut stream, b"\x00220 ready").await?;
    exactly(&mut origin, b"status first").await
}

pub(super) async fn refused(peer: Peer) -> Outcome {
    let (mut host, mut session) = Session::welcomed(&peer).await?;
    let address = host.origin.local_addr()?;
    // Nobody listens at the origin's port from here on.
    host.origin = TcpListener::bind((address.ip(), 0)).await?;
    let mut stream = session.visit(b"refuse me").await?;
    let told = status(&mut stream).await?;
    ensure!(
        told == REFUSED,
        "status {told:#04x} for an origin that refuses"
    );
    let rest = to_end(&mut stream).await?;
    ensure!(rest.is_empty(), "{rest:02x?} behind a refusal");
    Ok(())
}

pub(super) async fn malformed(peer: Peer) -> Outcome {
    let (_host, mut session) = Session::welcomed(&peer).await?;
    let stream = session
        .visit_with(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n", b"")
        .await?;
    is_reset(stream, Some(Code::Aborted)).await?;
    session.lives().await
}

/// TLVs that are not known, families without addresses.
pub(super) async fn heads(peer: Peer) -> Outcome {
    let (host, mut session) = Session::welcomed(&peer).await?;
    let bind = tlv(0xE0, &session.bind.to_be_bytes());
    let unknown = [tlv(0xEF, b"tomorrow"), bind.clone(), tlv(0x04, &[0; 100])].concat();
    let v6 = [[0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]; 2].concat();
    let v6 = [&v6[..], &[0xC3, 0x50, 1, 0xBB]].concat();
    let heads = [
        ("unknown TLVs", with_tlvs(0x21, 0x21, &v6, &unknown)),
        ("command LOCAL", with_tlvs(0x20, 0x00, &[], &bind)),
        ("family UNSPEC", with_tlvs(0x21, 0x00, &[], &bind)),
    ];
    for (what, head) in heads {
        let mut stream = session.visit_with(&head, b"question").await?;
        let mut origin = host.dialled().await?;
        let told = status(&mut stream).await?;
        ensure!(told == 0, "a head with {what} is refused with {told:#04x}");
        exactly(&mut origin, b"question").await?;
    }
    Ok(())
}

pub(super) async fn datagrams(peer: Peer) -> Outcome {
    let (_host, mut session) = Session::welcomed(&peer).await?;
    if session.hello["bind"][0]["kind"] == "udp" {
        return crate::case::not_tested("the agent serves a udp endpoint");
    }
    let mut head = head(session.bind);
    head[13] = 0x12;
    let mut stream = session.visit_with(&head, b"\0\x02hi").await?;
    let told = status(&mut stream).await?;
    ensure!(
        told == REFUSED,
        "status {told:#04x} for datagrams that nobody asked for"
    );
    Ok(())
}

pub(super) async fn half_close_visitor(peer: Peer) -> Outcome {
    let (_host, _session, mut stream, mut origin) = pair(&peer).await?;
    stream.write_all(b"question").await?;
    stream.shutdown().await?;
    let question = to_end(&mut origin).await?;
    ensure!(question == b"question", "the origin gets {question:02x?}");
    origin.write_all(b"answer").await?;
    origin.shutdown().await?;
    let answer = to_end(&mut stream).await?;
    ensure!(
        answer == b"answer",
        "behind its end the visitor gets {answer:02x?}"
    );
    Ok(())
}

pub(super) async fn half_close_origin(peer: Peer) -> Outcome {
    let (_host, _session, mut stream, mut origin) = pair(&peer).await?;
    origin.write_all(b"first").await?;
    origin.shutdown().await?;
    let answer = to_end(&mut stream).await?;
    ensure!(answer == b"first", "the visitor gets {answer:02x?}");
    stream.write_all(b"late").await?;
    stream.flush().await?;
    exactly(&mut origin, b"late").await
}

pub(super) async fn reset_by_visitor(peer: Peer) -> Outcome {
    let (_host, _session, mut stream, mut origin) = pair(&peer).await?;
    stream.write_all(b"part").await?;
    stream.flush().await?;
    exactly(&mut origin, b"part").await?;
    stream.reset(Code::Aborted);
    cut(&mut origin).await
}

pub(super) async fn reset_by_origin(peer: Peer) -> Outcome {
    let (_host, _session, mut stream, mut origin) = pair(&peer).await?;
    origin.write_all(b"part").await?;
    exactly(&mut stream, b"part").await?;
    socket2::SockRef::from(&origin).set_linger(Some(Duration::ZERO))?;
    drop(origin);
    is_reset(stream, None).await
}

pub(super) async fn session_lost(peer: Peer) -> Outcome {
    let (_host, session, mut stream, mut origin) = pair(&peer).await?;
    stream.write_all(b"lost").await?;
    stream.flush().await?;
    exactly(&mut origin, b"lost").await?;
    session.link.close(Code::Idle);
    cut(&mut origin).await
}

/// An origin that reads nothing holds up its own streams alone.
pub(super) async fn stalled(peer: Peer) -> Outcome {
    let (host, mut session) = Session::welcomed(&peer).await?;
    let flood = vec![0; 8 << 20];
    let mut standing = Vec::new();
    for _ in 0..STALLED {
        let mut stream = session.visit(b"").await?;
        let origin = host.dialled().await?;
        pour(&mut stream, &flood).await;
        standing.push((stream, origin));
    }
    exchange(&host, &mut session).await
}

pub(super) async fn silent(peer: Peer) -> Outcome {
    let (host, mut session) = Session::welcomed(&peer).await?;
    let mut all = Vec::new();
    for _ in 0..SILENT {
        let mut stream = session.visit(b"").await?;
        let origin = host.dialled().await?;
        ensure!(
            status(&mut stream).await? == 0,
            "stream {} is refused",
            all.len()
        );
        all.push((stream, origin));
    }
    exchange(&host, &mut session).await
}

/// What the edge allows is what the agent takes.
pub(super) async fn limit(peer: Peer) -> Outcome {
    let host = Host::start(&peer).await?;
    let mut session = Session::greeted(&host).await?;
    let mut welcome = session.welcome();
    welcome["limits"] = json!({"streams": 2, "flows": 0});
    session.say(&welcome).await?;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = session.visit(b"").await?;
        ensure!(
            status(&mut stream).await? == 0,
            "a stream within the limit is refused"
        );
        open.push((stream, host.dialled().await?));
    }
    let mut third = session.visit(b"").await?;
    match within("refusal", third.read_u8()).await? {
        Ok(LIMIT) => Ok(()),
        Err(error) if StreamReset::of(&error).is_some_and(|r| r.code == Code::StreamLimit) => {
            Ok(())
        }
        other => failed(format!("a third stream of two is answered by {other:?}")),
    }
}

/// An accepted stream and its connection to the origin.
async fn pair(peer: &Peer) -> Outcome<(Host, Session, Stream, TcpStream)> {
    let (host, mut session) = Session::welcomed(peer).await?;
    let mut stream = session.visit(b"").await?;
    let origin = host.dialled().await?;
    let told = status(&mut stream).await?;
    ensure!(told == 0, "the stream is refused with {told:#04x}");
    Ok((host, session, stream, origin))
}

async fn exchange(host: &Host, session: &mut Session) -> Outcome {
    let mut stream = session.visit(b"question").await?;
    let mut origin = host.dialled().await?;
    ensure!(
        status(&mut stream).await? == 0,
        "one more stream is refused"
    );
    exactly(&mut origin, b"question").await?;
    origin.write_all(b"answer").await?;
    exactly(&mut stream, b"answer").await
}

async fn is_reset(mut stream: Stream, code: Option<Code>) -> Outcome {
    let mut rest = Vec::new();
    let ended = within("reset", stream.read_to_end(&mut rest)).await?;
    let Err(error) = ended else {
        return failed("the stream ends as if all were well");
    };
    let reset = StreamReset::of(&error);
    ensure!(reset.is_some(), "the stream fails otherwise: {error}");
    let right = code.is_none_or(|code| reset.is_some_and(|reset| reset.code == code));
    ensure!(right, "the stream is {error}");
    Ok(())
}

async fn cut(origin: &mut TcpStream) -> Outcome {
    let mut rest = Vec::new();
    match within("reset", origin.read_to_end(&mut rest)).await? {
        Ok(_) => failed("the origin is shown an end"),
        Err(_) => Ok(()),
    }
}
