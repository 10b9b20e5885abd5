//! The binding without a mux, as an agent of a few lines sees it: bytes over TLS.

use std::sync::Arc;

use futures_util::future::select_all;
use model::{Endpoint, Kind, Revocation, Sharing};
use rustls::pki_types::ServerName;
use token::ProofKey;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tunnel::{Secret, StreamHead};

use super::bed::{Bed, EDGE, within};
use crate::bounds::{POLL, WAITING_POLLS};

pub(super) type Tls = TlsStream<TcpStream>;

pub(super) async fn dial(bed: &Bed) -> Tls {
    within(try_to_dial(bed)).await.unwrap()
}

pub(super) async fn try_to_dial(bed: &Bed) -> std::io::Result<Tls> {
    let stream = TcpStream::connect(bed.tls()).await?;
    let connector = TlsConnector::from(Arc::new(bed.ca.client(&[b"http/1.1"])));
    let name = ServerName::try_from(EDGE).unwrap();
    connector.connect(name, stream).await
}

async fn ask(connection: &mut Tls, token: &Secret, more: &str) {
    let request = format!(
        "GET /.well-known/tunnel HTTP/1.1\r\nHost: {EDGE}\r\nConnection: upgrade\r\n\
         Upgrade: adit-single\r\nAuthorization: Bearer {}\r\n{more}\r\n",
        token.expose()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
}

async fn poll(bed: &Bed, token: &Secret) -> Tls {
    let mut connection = dial(bed).await;
    ask(&mut connection, token, "").await;
    connection
}

/// The head of an answer.
pub(super) async fn answer<R: AsyncRead + Unpin>(connection: &mut R) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(connection.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// The answer to a refused request: its head, and the error's members.
pub(super) async fn refused(connection: &mut Tls) -> (String, serde_json::Value) {
    let head = answer(connection).await.to_ascii_lowercase();
    let length = head.split_once("content-length: ").unwrap().1;
    let length = length.lines().next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    within(connection.read_exact(&mut body)).await.unwrap();
    (head, serde_json::from_slice(&body).unwrap())
}

async fn visited(connection: &mut Tls) -> StreamHead {
    let head = answer(connection).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(
        head.to_ascii_lowercase().contains("upgrade: adit-single"),
        "{head}"
    );
    within(StreamHead::read(connection)).await.unwrap()
}

async fn bed() -> (Bed, Endpoint, Secret) {
    let bed = Bed::start().await;
    let port = bed.claim_port().await;
    let token = bed.sign(&bed.claims(&[&port]).await);
    (bed, port, token)
}

async fn bound(bed: &Bed) {
    bed.placements(|all| all.iter().any(|fact| fact.transport == "single"))
        .await;
}

async fn write<W: AsyncWrite + Unpin>(to: &mut W, bytes: &[u8]) {
    to.write_all(bytes).await.unwrap();
    to.flush().await.unwrap();
}

#[tokio::test]
async fn a_request_becomes_a_visitors_connection() {
    let (bed, _, token) = bed().await;
    let mut agent = poll(&bed, &token).await;
    let mut visitor = bed.visit_port().await;
    write(&mut visitor, b"question").await;
    let head = visited(&mut agent).await;
    assert_eq!(head.source, visitor.local_addr().unwrap());
    // Nothing follows the head before it is answered: what is read next is what follows the answer.
    write(&mut agent, &[0]).await;
    let mut question = [0; 8];
    within(agent.read_exact(&mut question)).await.unwrap();
    assert_eq!(&question, b"question");
    // Each direction ends by itself.
    visitor.shutdown().await.unwrap();
    assert_eq!(within(agent.read(&mut [0; 9])).await.unwrap(), 0);
    write(&mut agent, b"answer").await;
    agent.shutdown().await.unwrap();
    let mut answer = String::new();
    within(visitor.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "answer");
}

#[tokio::test]
async fn an_end_without_close_notify_is_an_abort() {
    let (bed, _, token) = bed().await;
    let mut agent = poll(&bed, &token).await;
    let mut visitor = bed.visit_port().await;
    visited(&mut agent).await;
    write(&mut agent, b"\0half").await;
    let mut half = [0; 4];
    within(visitor.read_exact(&mut half)).await.unwrap();
    drop(agent);
    let end = within(visitor.read(&mut half)).await;
    assert!(end.is_err(), "{end:?}");
}

#[tokio::test]
async fn visitors_come_to_the_requests_that_are_left() {
    let (bed, _, token) = bed().await;
    let gone = poll(&bed, &token).await;
    bound(&bed).await;
    drop(gone);
    let mut agents = vec![poll(&bed, &token).await, poll(&bed, &token).await];
    for agent in &mut agents {
        let mut visitor = bed.visit_port().await;
        visited(agent).await;
        write(agent, b"\0hello").await;
        let mut hello = [0; 5];
        within(visitor.read_exact(&mut hello)).await.unwrap();
    }
}

#[tokio::test]
async fn a_refusal_says_why() {
    let (bed, port, token) = bed().await;
    let other = bed
        .claim("a.localhost", Kind::Http, Sharing::Exclusive)
        .await;
    let key = ProofKey::generate().unwrap();
    let mut claims = bed.claims(&[&port]).await;
    claims.confirmation = Some(key.thumbprint());
    let key_bound = bed.sign(&claims);
    let elsewhere = format!(
        "adit-bind: {{\"id\":1,\"host\":\"{}\",\"kind\":\"http\"}}\r\n",
        other.name
    );
    let h2c =
        "adit-bind: {\"id\":1,\"host\":\"a.localhost\",\"kind\":\"http\",\"proto\":\"h2c\"}\r\n";
    let nonsense = Secret::from("nonsense".to_owned());
    for (token, more, status, code) in [
        (&nonsense, "", 401, 3),
        (&key_bound, "", 401, 3),
        (&token, elsewhere.as_str(), 403, 5),
        (&token, "adit-bind: {\"id\":1}\r\n", 400, 1),
        (&token, "adit-bind: {}\r\nadit-bind: {}\r\n", 400, 1),
        (&token, h2c, 400, 1),
    ] {
        let mut agent = dial(&bed).await;
        ask(&mut agent, token, more).await;
        let (head, error) = refused(&mut agent).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        assert_eq!(error["code"], code, "{error}");
        assert_eq!(head.contains("www-authenticate: bearer"), status == 401);
    }
    // One request holds the port, and another token's agent may not have it.
    let _agent = poll(&bed, &token).await;
    bound(&bed).await;
    let mut claims = bed.claims(&[&port]).await;
    claims.subject = "agt_2".parse().unwrap();
    let mut second = poll(&bed, &bed.sign(&claims)).await;
    assert_eq!(refused(&mut second).await.1["code"], 6);
}

#[tokio::test]
async fn a_new_token_goes_on_where_the_old_one_was() {
    let (bed, port, token) = bed().await;
    let mut old = poll(&bed, &token).await;
    bound(&bed).await;
    let mut new = poll(&bed, &bed.sign(&bed.claims(&[&port]).await)).await;
    let (head, error) = refused(&mut old).await;
    assert!(head.starts_with("http/1.1 409 "), "{head}");
    assert_eq!(error["code"], 11);
    let _visitor = bed.visit_port().await;
    visited(&mut new).await;
}

#[tokio::test]
async fn what_is_revoked_waits_no_longer() {
    let (bed, _, token) = bed().await;
    let mut agent = poll(&bed, &token).await;
    bound(&bed).await;
    bed.revoke(Revocation::Account("acc_1".parse().unwrap()))
        .await;
    assert_eq!(refused(&mut agent).await.1["code"], 12);
    bed.placements(<[_]>::is_empty).await;
}

#[tokio::test]
async fn an_edge_that_leaves_lets_its_agents_go() {
    let (mut bed, _, token) = bed().await;
    let mut agent = poll(&bed, &token).await;
    bound(&bed).await;
    let (told, ()) = tokio::join!(refused(&mut agent), bed.stop());
    assert_eq!(told.1["code"], 8);
}

#[tokio::test]
async fn requests_that_wait_are_bounded() {
    let bed = Bed::start_with(|config| config.limits.strangers_per_address = 1000).await;
    let port = bed.claim_port().await;
    let token = bed.sign(&bed.claims(&[&port]).await);
    let mut agents = Vec::new();
    for _ in 0..=WAITING_POLLS {
        agents.push(poll(&bed, &token).await);
    }
    // Whichever came last is told so; the others wait.
    let answers = agents.iter_mut().map(|agent| Box::pin(refused(agent)));
    let ((head, error), ..) = select_all(answers).await;
    assert!(head.starts_with("http/1.1 429 "), "{head}");
    assert_eq!(error["code"], 7);
}

#[tokio::test]
async fn a_request_that_nobody_comes_for_may_ask_again_on_its_connection() {
    let (bed, _, token) = bed().await;
    let mut agent = poll(&bed, &token).await;
    bound(&bed).await;
    tokio::time::pause();
    tokio::time::advance(POLL).await;
    tokio::time::resume();
    let head = answer(&mut agent).await;
    assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
    ask(&mut agent, &token, "").await;
    let _visitor = bed.visit_port().await;
    visited(&mut agent).await;
}
