//! Sections 2.1, 2.2 and 4: what a session may bind, and how that changes.

use serde_json::{Value, json};

use super::{Peer, opening::forged, session::Session};
use crate::case::{Finding, Outcome, ensure, failed, not_tested};

const AUTH: u64 = 3;
const FORBIDDEN: u64 = 5;
const CONFLICT: u64 = 6;
const LIMIT: u64 = 7;
/// Binds of a session.
const BINDS: u32 = 100;

pub(super) async fn everything(peer: Peer) -> Outcome {
    let (_session, welcome) = Session::serve(&peer).await?;
    let bound = welcome["bound"].as_array().cloned().unwrap_or_default();
    ensure!(!bound.is_empty(), "a token alone binds nothing");
    for (bound, id) in bound.iter().zip(1..) {
        ensure!(bound["id"] == id, "bound number {id} is {bound}");
        let named = bound["host"].is_string() != bound["port"].is_u64();
        ensure!(named, "neither one host nor one port: {bound}");
    }
    Ok(())
}

pub(super) async fn forbidden(peer: Peer) -> Outcome {
    let (mut session, _) = Session::open(&peer).await?;
    refused(&mut session, "not-granted.example").await?;
    let port = json!({"t": "bind", "id": 8, "port": 9, "kind": "tcp"});
    session.say(&port).await?;
    error_for(&mut session, 8, FORBIDDEN).await?;
    session.lives().await
}

/// The names beside what is granted that a careless match would take for it.
pub(super) async fn label_boundary(peer: Peer) -> Outcome {
    let Ok(granted) = peer.granted("http").or_else(|_| peer.granted("tls")) else {
        return not_tested("the token grants no name");
    };
    let host = granted["host"].as_str().unwrap_or_default();
    let others = match host.strip_prefix("*.") {
        Some(parent) => [
            parent.to_owned(),
            format!("b.c.{parent}"),
            format!("x{parent}"),
        ],
        None => [format!("a.{host}"), format!("*.{host}"), format!("x{host}")],
    };
    let kind = granted["kind"].clone();
    let (mut session, _) = Session::open(&peer).await?;
    for (other, id) in others.iter().zip(20..) {
        session
            .say(&json!({"t": "bind", "id": id, "host": other, "kind": kind}))
            .await?;
        let answer = error_for(&mut session, id, FORBIDDEN).await;
        answer.map_err(|_| Finding::Failed(format!("{host} is granted, and {other} is bound")))?;
    }
    Ok(())
}

/// A name may not be taken under another kind than was granted.
pub(super) async fn other_kind(peer: Peer) -> Outcome {
    let Ok(granted) = peer.granted("http") else {
        return not_tested("the token grants no http endpoint");
    };
    let (mut session, _) = Session::open(&peer).await?;
    let bind = json!({"t": "bind", "id": 3, "host": granted["host"], "kind": "tls"});
    session.say(&bind).await?;
    error_for(&mut session, 3, FORBIDDEN).await.map(drop)
}

pub(super) async fn limit(peer: Peer) -> Outcome {
    let bind = |id| json!({"id": id, "host": format!("h{id}.example"), "kind": "http"});
    let mut hello = peer.hello();
    hello["bind"] = (0..=BINDS).map(bind).collect();
    let mut session = Session::connect(&peer).await?;
    session.say(&hello).await?;
    for _ in 0..=BINDS {
        let told = session.hear().await?;
        if told["t"] == "error" && told["code"] == LIMIT {
            return Ok(());
        }
    }
    failed("101 binds, and no error 7")
}

/// `bind` and `unbind` of a session that is there.
pub(super) async fn later(peer: Peer) -> Outcome {
    let (mut session, welcome) = Session::serve(&peer).await?;
    let first = welcome["bound"][0].clone();
    session
        .say(&json!({"t": "unbind", "id": first["id"]}))
        .await?;
    let unbound = session.expect("unbound").await?;
    ensure!(
        unbound["id"] == first["id"],
        "{unbound} for the bind {}",
        first["id"]
    );
    session.say(&bind(&first, 4_294_967_295)).await?;
    let bound = session.expect("bound").await?;
    ensure!(
        bound["id"] == 4_294_967_295_u32,
        "{bound} for the bind 4294967295"
    );
    ensure!(bound["kind"] == first["kind"], "{bound} is of another kind");
    Ok(())
}

pub(super) async fn conflict(peer: Peer) -> Outcome {
    let (_holder, welcome) = Session::serve(&peer).await?;
    let (mut other, _) = Session::open(&peer).await?;
    other.say(&bind(&welcome["bound"][0], 9)).await?;
    let told = other.hear().await?;
    ensure!(
        told["t"] != "bound",
        "an endpoint is in two sessions' hands (should it be? its owner may allow replicas)"
    );
    is_error(&told, 9, CONFLICT)?;
    other.lives().await
}

pub(super) async fn resume(peer: Peer) -> Outcome {
    let (old, welcome) = Session::serve(&peer).await?;
    let Some(secret) = welcome["resume"].as_str() else {
        return not_tested("welcome has no resume");
    };
    let mut hello = peer.hello_for_all();
    hello["resume"] = json!(secret);
    let mut new = Session::connect(&peer).await?;
    new.say(&hello).await?;
    let again = new.welcome().await?;
    ensure!(
        again["bound"] == welcome["bound"],
        "only {} is bound again",
        again["bound"]
    );
    ensure!(
        again["resume"] != welcome["resume"],
        "the secret is the same again"
    );
    let mut old = old;
    old.ends_with(11).await
}

pub(super) async fn resume_unknown(peer: Peer) -> Outcome {
    let mut hello = peer.hello();
    hello["resume"] = json!("this means nothing");
    let mut session = Session::connect(&peer).await?;
    session.say(&hello).await?;
    session.welcome().await.map(drop)
}

pub(super) async fn refresh(peer: Peer) -> Outcome {
    let (mut session, welcome) = Session::open(&peer).await?;
    session
        .say(&json!({"t": "token", "token": peer.edge.token.expose()}))
        .await?;
    let fresh = session.welcome().await?;
    ensure!(
        fresh["session"] == welcome["session"],
        "the session is another: {}",
        fresh["session"]
    );
    ensure!(
        fresh["session_exp"].is_u64(),
        "session_exp is {}",
        fresh["session_exp"]
    );
    session.lives().await
}

pub(super) async fn refresh_refused(peer: Peer) -> Outcome {
    let (mut session, _) = Session::open(&peer).await?;
    session
        .say(&json!({"t": "token", "token": forged(peer.edge.token.expose())?}))
        .await?;
    let told = session.expect("error").await?;
    ensure!(told["code"] == AUTH, "a forged token is answered by {told}");
    session.lives().await
}

/// The agent leaves: what it bound is free, and nobody is sent to it.
pub(super) async fn drain(peer: Peer) -> Outcome {
    let (mut session, welcome) = Session::serve(&peer).await?;
    session.say(&json!({"t": "drain"})).await?;
    session.lives().await?;
    let mut other = Session::connect(&peer).await?;
    other.say(&peer.hello()).await?;
    other.welcome().await?;
    other.say(&bind(&welcome["bound"][0], 1)).await?;
    let told = other.hear().await?;
    ensure!(
        told["t"] == "bound",
        "what a session that drains had bound is refused: {told}"
    );
    session.stays_quiet().await
}

fn bind(bound: &Value, id: u32) -> Value {
    let mut bind = json!({"t": "bind", "id": id, "kind": bound["kind"]});
    for name in ["host", "port"] {
        if !bound[name].is_null() {
            bind[name] = bound[name].clone();
        }
    }
    bind
}

async fn refused(session: &mut Session, host: &str) -> Outcome {
    session
        .say(&json!({"t": "bind", "id": 7, "host": host, "kind": "http"}))
        .await?;
    error_for(session, 7, FORBIDDEN).await
}

async fn error_for(session: &mut Session, id: u32, code: u64) -> Outcome {
    let told = session.hear().await?;
    is_error(&told, id, code)
}

fn is_error(told: &Value, id: u32, code: u64) -> Outcome {
    let right = told["t"] == "error" && told["id"] == id && told["code"] == code;
    ensure!(right, "{told} instead of error {code} for bind {id}");
    Ok(())
}
