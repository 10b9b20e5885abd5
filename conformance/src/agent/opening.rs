//! Sections 1 and 2: the control stream of an agent.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use tunnel::Code;

use super::{
    Peer,
    host::Host,
    session::{Session, status},
};
use crate::{
    case::{Outcome, ensure, failed, within},
    exchange::{exactly, to_end},
};

const PROTOCOL: u64 = 1;
/// How long it is watched what an agent must not do.
const WATCHED: Duration = Duration::from_millis(700);

pub(super) async fn hello(peer: Peer) -> Outcome {
    let host = Host::start(&peer).await?;
    let session = Session::greeted(&host).await?;
    let hello = &session.hello;
    let speaks = hello["v"]
        .as_array()
        .is_some_and(|all| all.contains(&json!(1)));
    ensure!(speaks, "v is {}", hello["v"]);
    ensure!(
        hello["token"] == host.invitation.token.as_str(),
        "token is {}",
        hello["token"]
    );
    let binds = hello["bind"].as_array().cloned().unwrap_or_default();
    for bind in &binds {
        ensure!(
            bind["id"].is_u64() && bind["kind"].is_string(),
            "{bind} is no bind"
        );
        ensure!(
            bind["host"].is_string() != bind["port"].is_u64(),
            "{bind} is not one host or port"
        );
    }
    Ok(())
}

/// Neither before nor after welcome.
pub(super) async fn one_stream(peer: Peer) -> Outcome {
    let host = Host::start(&peer).await?;
    let mut session = Session::greeted(&host).await?;
    let before = timeout(WATCHED, session.link.accept()).await;
    ensure!(
        !matches!(before, Ok(Ok(_))),
        "a second stream before welcome"
    );
    let welcome = session.welcome();
    session.say(&welcome).await?;
    session.lives().await?;
    let after = timeout(WATCHED, session.link.accept()).await;
    ensure!(
        !matches!(after, Ok(Ok(_))),
        "a second stream behind welcome"
    );
    Ok(())
}

pub(super) async fn lines(peer: Peer) -> Outcome {
    let host = Host::start(&peer).await?;
    let mut session = Session::greeted(&host).await?;
    let line = format!("\n\r\n{}\r\n", session.welcome());
    let (first, rest) = line.as_bytes().split_at(20);
    session.send(first).await?;
    tokio::time::sleep(Duration::from_millis(50)).await;
    session.send(rest).await?;
    session.lives().await
}

pub(super) async fn longest(peer: Peer) -> Outcome {
    let (_host, mut session) = Session::welcomed(&peer).await?;
    session.send(&line_of(16_384)).await?;
    session.lives().await
}

pub(super) async fn too_long(peer: Peer) -> Outcome {
    let (_host, mut session) = Session::welcomed(&peer).await?;
    session.send(&line_of(16_385)).await?;
    session.ends_with(PROTOCOL).await
}

pub(super) async fn not_json(peer: Peer) -> Outcome {
    let (_host, mut session) = Session::welcomed(&peer).await?;
    session.send(b"{\"t\":\n").await?;
    session.ends_with(PROTOCOL).await
}

pub(super) async fn unknown(peer: Peer) -> Outcome {
    let host = Host::start(&peer).await?;
    let mut session = Session::greeted(&host).await?;
    let mut welcome = session.welcome();
    welcome["tomorrow"] = json!({"v": [2]});
    session.say(&welcome).await?;
    session.say(&json!({"t": "tomorrow", "n": 1})).await?;
    session.lives().await
}

pub(super) async fn crit(peer: Peer) -> Outcome {
    let (_host, mut session) = Session::welcomed(&peer).await?;
    session
        .say(&json!({"t": "tomorrow", "crit": ["tomorrow"]}))
        .await?;
    session.ends_with(PROTOCOL).await
}

pub(super) async fn ping(peer: Peer) -> Outcome {
    let (_host, mut session) = Session::welcomed(&peer).await?;
    for n in [0_u64, (1 << 53) - 1] {
        session.say(&json!({"t": "ping", "n": n})).await?;
        let pong = session.hear().await?;
        ensure!(
            pong["t"] == "pong" && pong["n"] == n,
            "a ping of {n} is answered by {pong}"
        );
    }
    Ok(())
}

pub(super) async fn error(peer: Peer) -> Outcome {
    let (_host, mut session) = Session::welcomed(&peer).await?;
    session.lives().await?;
    session
        .say(&json!({"t": "error", "code": 9, "msg": "as the kit says"}))
        .await?;
    within("end of the session", session.link.closed())
        .await
        .map(drop)
}

/// An agent whose session is lost comes again.
pub(super) async fn again(peer: Peer) -> Outcome {
    let (host, mut session) = Session::welcomed(&peer).await?;
    session.lives().await?;
    session.link.close(Code::Idle);
    Session::greeted(&host).await.map(drop)
}

/// The agent is bound elsewhere before it says so, and what is open here goes on.
pub(super) async fn drain(peer: Peer) -> Outcome {
    let (host, mut old) = Session::welcomed(&peer).await?;
    let mut stream = old.visit(b"question").await?;
    let mut origin = host.dialled().await?;
    ensure!(status(&mut stream).await? == 0, "the stream is refused");
    let drain =
        json!({"t": "drain", "after": 0, "deadline": 20_000, "edges": [host.invitation.url]});
    old.say(&drain).await?;
    let early = timeout(WATCHED, old.hear()).await;
    if let Ok(Ok(told)) = early {
        ensure!(told["t"] != "drained", "drained, and bound nowhere else");
    }
    let mut new = Session::greeted(&host).await?;
    let welcome = new.welcome();
    new.say(&welcome).await?;
    loop {
        let told = old.hear().await?;
        if told["t"] == "drained" {
            break;
        }
    }
    exactly(&mut origin, b"question").await?;
    use tokio::io::AsyncWriteExt;
    origin.write_all(b"answer").await?;
    origin.shutdown().await?;
    let answer = to_end(&mut stream).await?;
    if answer != b"answer" {
        return failed(format!("the open stream gets {answer:02x?}"));
    }
    Ok(())
}

/// A message that is ignored, of `length` bytes.
fn line_of(length: usize) -> Vec<u8> {
    let short = json!({"t": "tomorrow", "padding": ""}).to_string().len() + 1;
    let padding = "x".repeat(length.saturating_sub(short));
    format!("{}\n", json!({"t": "tomorrow", "padding": padding})).into_bytes()
}
