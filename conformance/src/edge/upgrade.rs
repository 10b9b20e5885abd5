//! Section 7.2: the request for a tunnel.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    Peer,
    visitor::{Answer, name_of},
};
use crate::case::{Outcome, ensure, within};

const PATH: &str = "/.well-known/tunnel";

pub(super) async fn switches(peer: Peer) -> Outcome {
    let mut tls = peer.tls(&[b"http/1.1"]).await?;
    let answer = ask(&mut tls, &peer.tunnel("GET", "adit-mux")).await?;
    ensure!(answer.status == 101, "status {}", answer.status);
    let upgrade = answer
        .head
        .lines()
        .any(|line| line.replace(' ', "") == "upgrade:adit-mux");
    ensure!(upgrade, "no Upgrade: adit-mux in {}", answer.head);
    Ok(())
}

pub(super) async fn no_alpn(peer: Peer) -> Outcome {
    let mut tls = peer.tls(&[]).await?;
    let answer = ask(&mut tls, &peer.tunnel("GET", "adit-mux")).await?;
    ensure!(
        answer.status == 101,
        "status {} without ALPN",
        answer.status
    );
    Ok(())
}

/// What is no request for a tunnel gets none.
pub(super) async fn refuses(peer: Peer) -> Outcome {
    let plain = format!("GET {PATH} HTTP/1.1\r\nHost: {}\r\n\r\n", peer.authority());
    let other = peer.tunnel("GET", "adit-tomorrow");
    let post = peer.tunnel("POST", "adit-mux");
    for request in [plain, other, post] {
        let mut tls = peer.tls(&[b"http/1.1"]).await?;
        let status = ask(&mut tls, &request).await?.status;
        let first = request.lines().next().unwrap_or_default();
        ensure!(
            (400..500).contains(&status),
            "{first} is answered by {status}"
        );
    }
    Ok(())
}

/// A visitor's name never reaches the tunnel.
pub(super) async fn own_names(peer: Peer) -> Outcome {
    // The edge may take it for a visit, which is to reach no other case.
    let _endpoints = peer.endpoints.lock().await;
    let name = name_of(peer.granted("http")?);
    let mut tls = peer.tls_as(&name, &[b"http/1.1"]).await?;
    let request = format!(
        "GET {PATH} HTTP/1.1\r\nHost: {name}:{}\r\nConnection: upgrade\r\nUpgrade: adit-mux\r\n\r\n",
        peer.edge.port
    );
    let status = ask(&mut tls, &request).await?.status;
    ensure!(
        status != 101,
        "a tunnel is opened on the name of an endpoint"
    );
    Ok(())
}

impl Peer {
    pub(super) fn tunnel(&self, method: &str, token: &str) -> String {
        let host = self.authority();
        format!(
            "{method} {PATH} HTTP/1.1\r\nHost: {host}\r\nConnection: upgrade\r\nUpgrade: {token}\r\n\r\n"
        )
    }
}

/// Sends a request and reads the answer's head, and the body that its length says.
pub(super) async fn ask<S>(stream: &mut S, request: &str) -> Outcome<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    answer(stream).await
}

pub(super) async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> Outcome<Answer> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let byte = within("answer over HTTP", stream.read_u8()).await??;
        ensure!(bytes.len() < 16_384, "the head of the answer has no end");
        bytes.push(byte);
    }
    let mut answer = Answer::parse(&bytes)?;
    let length = answer
        .head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    if let Some(length) = length.and_then(|length| length.trim().parse::<u16>().ok()) {
        answer.body = vec![0; length.into()];
        within("body of the answer", stream.read_exact(&mut answer.body)).await??;
    }
    Ok(answer)
}
