//! Section 2, and 2.1: the lines of a control stream, and who is let in.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Peer, session::Session};
use crate::case::{Finding, Outcome, ensure, failed, not_tested, within};

/// Bytes of the longest control line, with its newline.
const LINE: usize = 16_384;

const PROTOCOL: u64 = 1;
const VERSION: u64 = 2;
const AUTH: u64 = 3;
const EXPIRED: u64 = 4;
const IDLE: u64 = 10;

pub(super) async fn hello_time(peer: Peer) -> Outcome {
    let mut session = Session::connect(&peer).await?;
    let began = Instant::now();
    session.ends_with(IDLE).await?;
    let waited = began.elapsed();
    let honest = Duration::from_secs(4)..Duration::from_secs(7);
    ensure!(
        honest.contains(&waited),
        "the edge waits {waited:.1?} for a hello"
    );
    Ok(())
}

pub(super) async fn not_json(peer: Peer) -> Outcome {
    first_line(&peer, b"hello\n", PROTOCOL).await
}

pub(super) async fn no_type(peer: Peer) -> Outcome {
    let mut hello = peer.hello();
    hello["t"] = Value::Null;
    said_first(&peer, &hello, PROTOCOL).await
}

pub(super) async fn hello_first(peer: Peer) -> Outcome {
    said_first(&peer, &json!({"t": "ping", "n": 1}), PROTOCOL).await
}

pub(super) async fn member_missing(peer: Peer) -> Outcome {
    said_first(&peer, &json!({"t": "hello", "v": [1]}), PROTOCOL).await
}

pub(super) async fn member_type(peer: Peer) -> Outcome {
    let mut hello = peer.hello();
    hello["v"] = json!("1");
    said_first(&peer, &hello, PROTOCOL).await
}

pub(super) async fn line_too_long(peer: Peer) -> Outcome {
    first_line(&peer, &padded(&peer, LINE + 1), PROTOCOL).await
}

pub(super) async fn line_longest(peer: Peer) -> Outcome {
    let mut session = Session::connect(&peer).await?;
    session.send(&padded(&peer, LINE)).await?;
    session.welcome().await.map(drop)
}

pub(super) async fn line_blank(peer: Peer) -> Outcome {
    let mut session = Session::connect(&peer).await?;
    session.send(b"\n\r\n").await?;
    session
        .send(format!("{}\r\n", peer.hello()).as_bytes())
        .await?;
    session.welcome().await.map(drop)
}

pub(super) async fn line_in_pieces(peer: Peer) -> Outcome {
    let mut session = Session::connect(&peer).await?;
    let line = format!("{}\n{}\n", peer.hello(), json!({"t": "ping", "n": 5}));
    let (first, rest) = line.as_bytes().split_at(20);
    session.send(first).await?;
    tokio::time::sleep(Duration::from_millis(50)).await;
    session.send(rest).await?;
    session.welcome().await?;
    session.expect("pong").await.map(drop)
}

pub(super) async fn member_unknown(peer: Peer) -> Outcome {
    let mut hello = peer.hello();
    hello["tomorrow"] = json!({"v": [2]});
    welcomed(&peer, &hello).await
}

pub(super) async fn message_unknown(peer: Peer) -> Outcome {
    let (mut session, _) = Session::open(&peer).await?;
    session.say(&json!({"t": "tomorrow", "n": 1})).await?;
    session.lives().await
}

pub(super) async fn crit_known(peer: Peer) -> Outcome {
    let mut hello = peer.hello();
    hello["crit"] = json!(["token", "resume", "hello"]);
    welcomed(&peer, &hello).await
}

pub(super) async fn crit_unknown(peer: Peer) -> Outcome {
    let mut hello = peer.hello();
    hello["tomorrow"] = json!(1);
    hello["crit"] = json!(["tomorrow"]);
    said_first(&peer, &hello, PROTOCOL).await
}

pub(super) async fn crit_later(peer: Peer) -> Outcome {
    let (mut session, _) = Session::open(&peer).await?;
    session
        .say(&json!({"t": "tomorrow", "crit": ["tomorrow"]}))
        .await?;
    session.ends_with(PROTOCOL).await
}

pub(super) async fn line_later(peer: Peer) -> Outcome {
    let (mut session, _) = Session::open(&peer).await?;
    session.send(b"{\"t\":\n").await?;
    session.ends_with(PROTOCOL).await
}

pub(super) async fn version_none(peer: Peer) -> Outcome {
    let mut hello = peer.hello();
    hello["v"] = json!([0, 4_000_000_000_u32]);
    said_first(&peer, &hello, VERSION).await
}

pub(super) async fn version_choice(peer: Peer) -> Outcome {
    let mut hello = peer.hello();
    hello["v"] = json!([4_000_000_000_u32, 1]);
    welcomed(&peer, &hello).await
}

pub(super) async fn token_nonsense(peer: Peer) -> Outcome {
    let mut hello = peer.hello();
    hello["token"] = json!("nonsense");
    said_first(&peer, &hello, AUTH).await
}

pub(super) async fn token_forged(peer: Peer) -> Outcome {
    let mut hello = peer.hello();
    hello["token"] = json!(forged(peer.edge.token.expose())?);
    said_first(&peer, &hello, AUTH).await
}

pub(super) async fn token_expired(peer: Peer) -> Outcome {
    let Some(expired) = &peer.edge.expired else {
        return not_tested("--expired-token-file names a token that has expired");
    };
    let mut hello = peer.hello();
    hello["token"] = json!(expired.expose());
    said_first(&peer, &hello, EXPIRED).await
}

pub(super) async fn welcome_form(peer: Peer) -> Outcome {
    let (_session, welcome) = Session::open(&peer).await?;
    ensure!(welcome["v"] == 1, "v is {}", welcome["v"]);
    for id in ["session", "edge"] {
        let text = welcome[id].as_str().unwrap_or_default();
        let good = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        ensure!(
            good && (1..=64).contains(&text.len()),
            "{id} is {}",
            welcome[id]
        );
    }
    let now = SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_secs();
    let end = welcome["session_exp"].as_u64();
    ensure!(
        end.is_some_and(|end| end > now),
        "session_exp is {}",
        welcome["session_exp"]
    );
    ensure!(
        welcome["bound"] == json!([]),
        "asked for no bind, and bound {}",
        welcome["bound"]
    );
    let edges = welcome["edges"].as_array().map_or(0, Vec::len);
    ensure!(edges <= 16, "{edges} edges");
    Ok(())
}

pub(super) async fn ping(peer: Peer) -> Outcome {
    let (mut session, _) = Session::open(&peer).await?;
    for n in [0_u64, (1 << 53) - 1] {
        session.say(&json!({"t": "ping", "n": n})).await?;
        let pong = session.expect("pong").await?;
        ensure!(pong["n"] == n, "a ping of {n} is answered by {pong}");
    }
    Ok(())
}

/// Over QUIC the edge's own limit holds the second stream back, over the mux it is refused.
pub(super) async fn second_stream(peer: Peer) -> Outcome {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut session = Session::connect(&peer).await?;
    session.send(b"\n").await?;
    let opening = session.transport.open();
    let Ok(stream) = tokio::time::timeout(Duration::from_millis(500), opening).await else {
        return Ok(());
    };
    let mut stream = stream?;
    // A stream may end before the bytes of it are taken.
    let _ = stream.write_all(b"{}\n").await;
    let _ = stream.flush().await;
    match within("answer to the second stream", stream.read_u8()).await? {
        Err(error) if tunnel::StreamReset::of(&error).is_some_and(|r| u8::from(r.code) == 0x22) => {
            Ok(())
        }
        Err(error) => failed(format!("the second stream ends with {error}")),
        Ok(_) => failed("the edge answers on a second stream"),
    }
}

async fn first_line(peer: &Peer, line: &[u8], code: u64) -> Outcome {
    let mut session = Session::connect(peer).await?;
    session.send(line).await?;
    session.ends_with(code).await
}

async fn said_first(peer: &Peer, message: &Value, code: u64) -> Outcome {
    first_line(peer, format!("{message}\n").as_bytes(), code).await
}

async fn welcomed(peer: &Peer, hello: &Value) -> Outcome {
    let mut session = Session::connect(peer).await?;
    session.say(hello).await?;
    session.welcome().await.map(drop)
}

/// A hello of `length` bytes.
fn padded(peer: &Peer, length: usize) -> Vec<u8> {
    let mut hello = peer.hello();
    hello["padding"] = json!("");
    let short = hello.to_string().len() + 1;
    hello["padding"] = json!("x".repeat(length.saturating_sub(short)));
    format!("{hello}\n").into_bytes()
}

/// The token with another signature.
pub(super) fn forged(token: &str) -> Outcome<String> {
    let none = || Finding::NotTested("the token is no JWT: nothing to forge".into());
    let (rest, signature) = token.rsplit_once('.').ok_or_else(none)?;
    let other = if signature.starts_with('A') { "B" } else { "A" };
    let end = signature.get(1..).ok_or_else(none)?;
    Ok(format!("{rest}.{other}{end}"))
}
