//! Section 3: what a visitor and an origin see of each other through a stream.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};
use tunnel::{Code, Stream, StreamReset};

use super::{
    Peer,
    session::Session,
    visitor::{Answer, bound, name_of},
};
use crate::{
    case::{Outcome, ensure, failed, within},
    exchange::{exactly, pour, to_end},
    head::AUTHORITY,
};

/// Streams that are silent at once, far below the 1000 that a session may have.
const SILENT: usize = 256;
/// Readers that stand still while another exchange goes on.
const STALLED: usize = 8;

pub(super) async fn head(peer: Peer) -> Outcome {
    peer.granted("tcp")?;
    let (mut session, welcome) = Session::serve(&peer).await?;
    let mut visitor = peer.visit(&welcome).await?;
    visitor.write_all(b"first").await?;
    let (head, mut stream) = session.stream_of(visitor.local_addr()?).await?;
    let id = &bound(&welcome, "tcp")?["id"];
    ensure!(
        head.bind().is_some_and(|bind| *id == bind),
        "bind {:?} instead of {id}",
        head.bind()
    );
    ensure!(!head.datagrams, "transport DGRAM for a tcp endpoint");
    head.once_each()?;
    ensure!(head.source.is_some(), "the head names no visitor");
    exactly(&mut stream, b"first").await
}

pub(super) async fn head_http(peer: Peer) -> Outcome {
    peer.granted("http")?;
    let (mut session, welcome) = Session::serve(&peer).await?;
    let (_visitor, own) = peer.request(&welcome).await?;
    let (head, mut stream) = session.stream_of(own).await?;
    let bound = bound(&welcome, "http")?;
    ensure!(
        head.bind().is_some_and(|id| bound["id"] == id),
        "bind {:?} for {bound}",
        head.bind()
    );
    let name = name_of(bound);
    let said = head
        .tlv(AUTHORITY)
        .map(|value| String::from_utf8_lossy(value).into_owned());
    let names = said
        .as_ref()
        .is_some_and(|said| said.split(':').next() == Some(&name));
    ensure!(names, "AUTHORITY is {said:?}, the visitor asked for {name}");
    exactly(&mut stream, b"GET / HTTP/1.1\r\n").await
}

/// The bytes of TLS pass, from the first.
pub(super) async fn tls_passes(peer: Peer) -> Outcome {
    peer.granted("tls")?;
    let (mut session, welcome) = Session::serve(&peer).await?;
    let bound = bound(&welcome, "tls")?;
    let name = name_of(bound);
    let tcp = peer.visit_named(bound).await?;
    let own = tcp.local_addr()?;
    let (asked, visitor) = (name.clone(), peer.clone());
    let visitor = tokio::spawn(async move { visitor.tls_over(tcp, &asked, &[]).await });
    let (head, mut stream) = session.stream_of(own).await?;
    let said = head
        .tlv(AUTHORITY)
        .map(|value| String::from_utf8_lossy(value).into_owned());
    ensure!(
        said.as_deref() == Some(&name),
        "AUTHORITY is {said:?}, the SNI {name}"
    );
    let first = exactly(&mut stream, &[0x16, 3]).await;
    visitor.abort();
    first
}

/// What a visitor of an `http` endpoint is told for each status of the agent.
pub(super) async fn status(peer: Peer) -> Outcome {
    peer.granted("http")?;
    let (mut session, welcome) = Session::serve(&peer).await?;
    for (status, http) in [(0x20, 502), (0x21, 502), (0x22, 503), (0x7F, 502)] {
        let (mut visitor, own) = peer.request(&welcome).await?;
        let (_, stream) = session.stream_of(own).await?;
        refuse(stream, status).await?;
        let told = Answer::read(&mut visitor).await?.status;
        ensure!(
            told == http,
            "status {status:#04x} of the agent is {told} for the visitor, not {http}"
        );
    }
    Ok(())
}

/// And one of a `tcp` endpoint, who is told by the end.
pub(super) async fn status_tcp(peer: Peer) -> Outcome {
    peer.granted("tcp")?;
    let (mut session, welcome) = Session::serve(&peer).await?;
    let mut visitor = peer.visit(&welcome).await?;
    let (_, stream) = session.stream_of(visitor.local_addr()?).await?;
    refuse(stream, 0x20).await?;
    let mut bytes = Vec::new();
    let _ = within("end of the connection", visitor.read_to_end(&mut bytes)).await?;
    ensure!(
        bytes.is_empty(),
        "the visitor of a refused stream gets {bytes:02x?}"
    );
    Ok(())
}

pub(super) async fn status_time(peer: Peer) -> Outcome {
    peer.granted("http")?;
    let (mut session, welcome) = Session::serve(&peer).await?;
    let (mut visitor, own) = peer.request(&welcome).await?;
    let (_, mut stream) = session.stream_of(own).await?;
    let began = Instant::now();
    let told = Answer::read(&mut visitor).await?.status;
    let waited = began.elapsed();
    ensure!(told == 504, "the visitor is told {told}");
    let honest = Duration::from_millis(2500)..Duration::from_millis(4500);
    ensure!(
        honest.contains(&waited),
        "the visitor is told after {waited:.1?}"
    );
    let mut rest = Vec::new();
    match within("reset", stream.read_to_end(&mut rest)).await? {
        Err(error) if StreamReset::of(&error).is_some_and(|reset| reset.code == Code::Timeout) => {
            Ok(())
        }
        other => failed(format!(
            "the stream ends with {other:?}, not with reset 0x23"
        )),
    }
}

pub(super) async fn half_close_visitor(peer: Peer) -> Outcome {
    let (_session, mut visitor, mut stream) = pair(&peer).await?;
    visitor.write_all(b"question").await?;
    visitor.shutdown().await?;
    let question = to_end(&mut stream).await?;
    ensure!(question == b"question", "the origin gets {question:02x?}");
    stream.write_all(b"answer").await?;
    stream.shutdown().await?;
    let answer = to_end(&mut visitor).await?;
    ensure!(
        answer == b"answer",
        "behind its end the visitor gets {answer:02x?}"
    );
    Ok(())
}

pub(super) async fn half_close_origin(peer: Peer) -> Outcome {
    let (_session, mut visitor, mut stream) = pair(&peer).await?;
    stream.write_all(b"answer").await?;
    stream.shutdown().await?;
    let answer = to_end(&mut visitor).await?;
    ensure!(answer == b"answer", "the visitor gets {answer:02x?}");
    visitor.write_all(b"late").await?;
    exactly(&mut stream, b"late").await
}

pub(super) async fn origin_first(peer: Peer) -> Outcome {
    let (_session, mut visitor, mut stream) = pair(&peer).await?;
    stream.write_all(b"220 ready").await?;
    stream.flush().await?;
    exactly(&mut visitor, b"220 ready").await
}

pub(super) async fn reset_by_origin(peer: Peer) -> Outcome {
    let (_session, mut visitor, mut stream) = pair(&peer).await?;
    stream.write_all(b"part").await?;
    stream.flush().await?;
    exactly(&mut visitor, b"part").await?;
    stream.reset(Code::Aborted);
    cut(&mut visitor).await
}

pub(super) async fn reset_by_visitor(peer: Peer) -> Outcome {
    let (_session, mut visitor, mut stream) = pair(&peer).await?;
    visitor.write_all(b"part").await?;
    exactly(&mut stream, b"part").await?;
    socket2::SockRef::from(&visitor).set_linger(Some(Duration::ZERO))?;
    drop(visitor);
    let mut rest = Vec::new();
    match within("reset", stream.read_to_end(&mut rest)).await? {
        Err(error) if StreamReset::of(&error).is_some() => Ok(()),
        Err(error) => failed(format!("the stream fails otherwise: {error}")),
        Ok(_) => failed("the agent sees the visitor's reset as an end"),
    }
}

/// A body that breaks off is not shown as whole.
pub(super) async fn reset_http(peer: Peer) -> Outcome {
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n";
    peer.granted("http")?;
    let (mut session, welcome) = Session::serve(&peer).await?;
    let (mut visitor, own) = peer.request(&welcome).await?;
    let (_, mut stream) = session.stream_of(own).await?;
    exactly(&mut stream, b"GET ").await?;
    stream.write_all(b"\0").await?;
    stream.write_all(CHUNKED).await?;
    stream.flush().await?;
    // The visitor has the first part before the rest is lost.
    let mut seen = Vec::new();
    while !seen.ends_with(b"part\r\n") {
        let read = within("part of the body", visitor.read_buf(&mut seen)).await??;
        ensure!(
            read > 0,
            "the answer ends early: {}",
            String::from_utf8_lossy(&seen)
        );
    }
    stream.reset(Code::Aborted);
    let mut rest = Vec::new();
    let _ = within("end of the answer", visitor.read_to_end(&mut rest)).await?;
    ensure!(
        !rest.ends_with(b"0\r\n\r\n"),
        "the visitor is shown a whole body"
    );
    Ok(())
}

pub(super) async fn session_lost(peer: Peer) -> Outcome {
    let (session, mut visitor, mut stream) = pair(&peer).await?;
    stream.write_all(b"part").await?;
    stream.flush().await?;
    exactly(&mut visitor, b"part").await?;
    session.transport.close(Code::Ok, "");
    cut(&mut visitor).await
}

/// Readers that stand still hold up nobody else.
pub(super) async fn stalled(peer: Peer) -> Outcome {
    peer.granted("tcp")?;
    let (mut session, welcome) = Session::serve(&peer).await?;
    let flood = vec![0; 8 << 20];
    let mut standing = Vec::new();
    for _ in 0..STALLED {
        let mut visitor = peer.visit(&welcome).await?;
        let stream = session.accepted(&visitor).await?;
        pour(&mut visitor, &flood).await;
        standing.push((visitor, stream));
    }
    exchange(&peer, &mut session, &welcome).await
}

pub(super) async fn silent(peer: Peer) -> Outcome {
    peer.granted("tcp")?;
    let (mut session, welcome) = Session::serve(&peer).await?;
    let mut pairs = Vec::new();
    for _ in 0..SILENT {
        let visitor = peer.visit(&welcome).await?;
        let stream = session.accepted(&visitor).await?;
        pairs.push((visitor, stream));
    }
    exchange(&peer, &mut session, &welcome).await?;
    for (visitor, stream) in &mut pairs {
        visitor.write_all(b"here").await?;
        exactly(stream, b"here").await?;
    }
    Ok(())
}

/// A visitor of the `tcp` endpoint, and its accepted stream.
async fn pair(peer: &Peer) -> Outcome<(Session, tokio::net::TcpStream, Stream)> {
    peer.granted("tcp")?;
    let (mut session, welcome) = Session::serve(peer).await?;
    let visitor = peer.visit(&welcome).await?;
    let stream = session.accepted(&visitor).await?;
    Ok((session, visitor, stream))
}

async fn exchange(peer: &Peer, session: &mut Session, welcome: &Value) -> Outcome {
    let mut visitor = peer.visit(welcome).await?;
    let mut stream = session.accepted(&visitor).await?;
    visitor.write_all(b"question").await?;
    exactly(&mut stream, b"question").await?;
    stream.write_all(b"answer").await?;
    stream.flush().await?;
    exactly(&mut visitor, b"answer").await
}

async fn refuse(mut stream: Stream, status: u8) -> Outcome {
    stream.write_all(&[status]).await?;
    stream.shutdown().await?;
    // Dropped at once, the end could be overtaken by a reset.
    tokio::spawn(async move {
        let mut rest = Vec::new();
        let _ = within("end of the refused stream", stream.read_to_end(&mut rest)).await;
    });
    Ok(())
}

/// The visitor's connection is cut, which is not an end.
async fn cut(visitor: &mut tokio::net::TcpStream) -> Outcome {
    let mut rest = Vec::new();
    match within("reset", visitor.read_to_end(&mut rest)).await? {
        Ok(_) => failed("the visitor is shown an end"),
        Err(_) => Ok(()),
    }
}
