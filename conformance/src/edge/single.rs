//! Section 7.4: one request, one connection.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::client::TlsStream;

use super::{
    Peer,
    opening::forged,
    upgrade::{answer, ask},
};
use crate::{
    case::{Outcome, ensure, failed, not_tested},
    exchange::{exactly, to_end},
    head::Head,
};

/// How long an edge keeps a request that nobody visits.
const POLL: Duration = Duration::from_secs(30);
/// How long the endpoints may stay in the hands of what the kit held before.
const LET_GO: Duration = Duration::from_secs(20);

pub(super) async fn no_token(peer: Peer) -> Outcome {
    refused(&peer, &peer.tunnel("GET", "adit-single"), 401, 3).await
}

pub(super) async fn forged_token(peer: Peer) -> Outcome {
    let token = forged(peer.edge.token.expose())?;
    refused(&peer, &peer.single(&token, None), 401, 3).await
}

pub(super) async fn expired_token(peer: Peer) -> Outcome {
    let Some(expired) = &peer.edge.expired else {
        return not_tested("--expired-token-file names a token that has expired");
    };
    refused(&peer, &peer.single(expired.expose(), None), 401, 4).await
}

/// A token counts in the header alone: URLs are written down on the way.
pub(super) async fn token_in_url(peer: Peer) -> Outcome {
    let query = format!("?access_token={} HTTP/1.1", peer.edge.token.expose());
    let request = peer
        .tunnel("GET", "adit-single")
        .replacen(" HTTP/1.1", &query, 1);
    let mut tls = peer.tls(&[b"http/1.1"]).await?;
    let status = ask(&mut tls, &request).await?.status;
    ensure!(
        (400..500).contains(&status),
        "a token in the URL is answered by {status}"
    );
    Ok(())
}

pub(super) async fn bind_malformed(peer: Peer) -> Outcome {
    let request = peer.single(peer.edge.token.expose(), Some("nonsense"));
    refused(&peer, &request, 400, 1).await
}

pub(super) async fn forbidden(peer: Peer) -> Outcome {
    let bind = json!({"id": 1, "host": "not-granted.example", "kind": "http"});
    let request = peer.single(peer.edge.token.expose(), Some(&bind.to_string()));
    refused(&peer, &request, 403, 5).await
}

/// The visitor's bytes wait for the status byte; both directions end by themselves.
pub(super) async fn visit(peer: Peer) -> Outcome {
    let _endpoint = peer.endpoints.lock().await;
    let (mut tls, mut visitor) = visited(&peer).await?;
    visitor.write_all(b"question").await?;
    visitor.shutdown().await?;
    let head = Head::read(&mut tls).await?;
    ensure!(
        head.bind() == Some(5),
        "bind {:?} instead of 5",
        head.bind()
    );
    let early = timeout(Duration::from_millis(500), tls.read_u8()).await;
    ensure!(early.is_err(), "{early:?} comes before the status");
    tls.write_all(&[0]).await?;
    tls.flush().await?;
    let question = to_end(&mut tls).await?;
    ensure!(question == b"question", "the agent gets {question:02x?}");
    tls.write_all(b"answer").await?;
    tls.shutdown().await?;
    let answer = to_end(&mut visitor).await?;
    ensure!(answer == b"answer", "the visitor gets {answer:02x?}");
    Ok(())
}

pub(super) async fn reset(peer: Peer) -> Outcome {
    let _endpoint = peer.endpoints.lock().await;
    let (mut tls, mut visitor) = visited(&peer).await?;
    Head::read(&mut tls).await?;
    tls.write_all(b"\0part").await?;
    tls.flush().await?;
    exactly(&mut visitor, b"part").await?;
    // The end of TCP without close_notify.
    drop(tls);
    let mut rest = Vec::new();
    match crate::case::within("reset", visitor.read_to_end(&mut rest)).await? {
        Err(_) => Ok(()),
        Ok(_) => failed("the visitor is shown an end"),
    }
}

pub(super) async fn nobody(peer: Peer) -> Outcome {
    let name = peer.granted("http").or_else(|_| peer.granted("tls"))?;
    let bind = json!({"id": 6, "host": name["host"], "kind": name["kind"]});
    let began = Instant::now();
    let mut tls = asked(&peer, &bind).await?;
    let first = timeout(POLL + Duration::from_secs(10), tls.read_u8()).await;
    ensure!(first.is_ok(), "no answer within 40 s");
    let told = answer(&mut tls).await?;
    ensure!(
        told.status == 204,
        "who waits for nobody is told {}",
        told.status
    );
    let waited = began.elapsed();
    ensure!(
        waited > POLL.mul_f32(0.8),
        "the edge waits only {waited:.1?}"
    );
    Ok(())
}

/// A request for the `tcp` endpoint that a visitor has come for.
async fn visited(peer: &Peer) -> Outcome<(TlsStream<TcpStream>, TcpStream)> {
    let port = peer.granted("tcp")?;
    let bind = json!({"id": 5, "port": port["port"], "kind": "tcp"});
    let mut tls = asked(peer, &bind).await?;
    let visitor = peer.visit(&json!({"bound": [port]})).await?;
    let told = answer(&mut tls).await?;
    ensure!(
        told.status == 101,
        "a visitor comes, and the request is answered by {}",
        told.status
    );
    Ok((tls, visitor))
}

/// A request that waits, tried again while what the kit held before is still held.
async fn asked(peer: &Peer, bind: &Value) -> Outcome<TlsStream<TcpStream>> {
    let request = peer.single(peer.edge.token.expose(), Some(&bind.to_string()));
    let began = Instant::now();
    loop {
        let mut tls = peer.tls(&[b"http/1.1"]).await?;
        tls.write_all(request.as_bytes()).await?;
        tls.flush().await?;
        let Ok(told) = timeout(Duration::from_millis(700), answer(&mut tls)).await else {
            return Ok(tls);
        };
        let status = told?.status;
        ensure!(
            status == 409 && began.elapsed() < LET_GO,
            "a request is answered by {status} at once"
        );
        sleep(Duration::from_millis(100)).await;
    }
}

async fn refused(peer: &Peer, request: &str, status: u16, code: u64) -> Outcome {
    let mut tls = peer.tls(&[b"http/1.1"]).await?;
    let told = ask(&mut tls, request).await?;
    ensure!(
        told.status == status,
        "status {} instead of {status}",
        told.status
    );
    let error: Value = serde_json::from_slice(&told.body).unwrap_or_default();
    ensure!(
        error["code"] == code,
        "{error} where an error {code} was expected"
    );
    Ok(())
}

impl Peer {
    fn single(&self, token: &str, bind: Option<&str>) -> String {
        let mut fields = format!("Authorization: Bearer {token}\r\n");
        if let Some(bind) = bind {
            fields.push_str(&format!("Adit-Bind: {bind}\r\n"));
        }
        let request = self.tunnel("GET", "adit-single");
        request.replacen("\r\n\r\n", &format!("\r\n{fields}\r\n"), 1)
    }
}
