//! Changes of protocol.

use tokio::io::AsyncWriteExt;

use super::bed::{RawOrigin, bed};
use crate::http::End;

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";

#[tokio::test]
async fn bytes_pass_both_ways_and_each_way_ends_by_itself() {
    let origin = RawOrigin::start().await;
    let endpoint = origin.endpoint();
    let mut bed = bed().endpoint(&endpoint).start().await;
    let mut visitor = bed.visitor().await;
    // What the visitor says too early belongs to the new protocol.
    visitor.say([ASK, "early"].concat()).await;
    let mut connection = origin.accept().await;
    let head = connection.head().await;
    assert!(
        head.contains("connection: upgrade\r\n")
            && head.contains("upgrade: websocket\r\n")
            && head.contains("sec-websocket-key: x\r\n"),
        "{head}"
    );
    connection.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\nhello").await;
    let head = visitor.head().await;
    assert!(
        head.starts_with("HTTP/1.1 101")
            && head.contains("sec-websocket-accept: y\r\n")
            && head.contains("upgrade: websocket\r\n"),
        "{head}"
    );
    visitor.until("hello").await;
    connection.until("early").await;
    visitor.say("ping").await;
    connection.until("ping").await;
    visitor.0.shutdown().await.unwrap();
    assert_eq!(connection.rest().await, "");
    connection.say("still here").await;
    connection.0.shutdown().await.unwrap();
    assert_eq!(visitor.rest().await, "still here");

    let visit = bed.visit().await;
    assert_eq!(
        (visit.status, visit.up, visit.down, visit.end),
        (101, 9, 15, End::Complete)
    );
    let heads = endpoint.heads.lock().unwrap();
    assert_eq!(heads[0].source, visitor.0.local_addr().unwrap());
    let told = heads[0].unique_id.as_deref().unwrap();
    assert!(told.starts_with(visit.trace.as_bytes()), "{visit:?}");
}

#[tokio::test]
async fn an_origin_that_refuses_answers_as_ever() {
    let origin = RawOrigin::start().await;
    let bed = bed().endpoint(&origin.endpoint()).start().await;
    let mut visitor = bed.visitor().await;
    visitor.say(ASK).await;
    let mut connection = origin.accept().await;
    connection.head().await;
    connection
        .say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        .await;
    assert!(visitor.until("no").await.starts_with("HTTP/1.1 403"));
    // HTTP goes on, on both sides of the edge, with another connection to the origin.
    visitor
        .say("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        .await;
    origin.accept().await.head().await;
}

#[tokio::test]
async fn an_abort_of_one_side_is_one_for_the_other() {
    let origin = RawOrigin::start().await;
    let mut bed = bed().endpoint(&origin.endpoint()).start().await;
    let mut visitor = bed.visitor().await;
    visitor.say(ASK).await;
    let mut connection = origin.accept().await;
    connection.head().await;
    connection
        .say(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )
        .await;
    visitor.head().await;
    visitor.0.set_zero_linger().unwrap();
    drop(visitor);
    assert!(connection.is_reset().await);
    assert_eq!(bed.visit().await.end, End::VisitorLeft);
}
