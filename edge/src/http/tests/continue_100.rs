//! "100 Continue" comes from the origin, or not at all.

use super::bed::{Bed, Raw, RawOrigin, bed, within};

const ASK: &str =
    "PUT / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";

async fn asked() -> (Bed, Raw, Raw) {
    let origin = RawOrigin::start().await;
    let bed = bed().endpoint(&origin.endpoint()).start().await;
    let mut visitor = bed.visitor().await;
    visitor.say(ASK).await;
    let mut connection = origin.accept().await;
    let head = connection.head().await;
    assert!(head.contains("expect: 100-continue\r\n"), "{head}");
    (bed, visitor, connection)
}

#[tokio::test]
async fn the_origins_word_is_passed_on_and_then_the_body() {
    let (_bed, mut visitor, mut origin) = asked().await;
    origin.say("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(visitor.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    visitor.say("body").await;
    origin.until("body").await;
    origin
        .say("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert!(visitor.head().await.starts_with("HTTP/1.1 201 Created"));
}

#[tokio::test]
async fn a_refusal_comes_instead_and_no_body_is_asked_for() {
    let (mut bed, mut visitor, mut origin) = asked().await;
    origin
        .say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
        .await;
    let answer = visitor.until("no").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    // Neither side's connection can be used again: the body that was announced never came.
    assert_eq!(visitor.rest().await, "");
    assert_eq!(origin.rest().await, "");
    let visit = bed.visit().await;
    assert_eq!((visit.status, visit.up), (401, 0));
}

#[tokio::test]
async fn an_origin_that_knows_nothing_of_it_gets_the_body_after_a_while() {
    let (_bed, mut visitor, mut origin) = asked().await;
    tokio::time::pause();
    assert_eq!(visitor.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    visitor.say("body").await;
    within(origin.until("body")).await;
}

#[tokio::test]
async fn a_visitor_who_does_not_wait_is_no_problem() {
    let (_bed, mut visitor, mut origin) = asked().await;
    visitor.say("body").await;
    origin.say("HTTP/1.1 100 Continue\r\n\r\n").await;
    origin.until("body").await;
    origin
        .say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .await;
    visitor.until("HTTP/1.1 200 OK\r\n").await;
}
