//! Connections to origins: used again, never shared between endpoints, and never at the price of a request.

use std::sync::Arc;

use http::{Request, Response};
use http_body_util::BodyExt;
use tunnel::{head::UNSPECIFIED, message::OriginProtocol};

use super::bed::{RawOrigin, TestEndpoint, bed, full, get, origin, within};

#[tokio::test]
async fn visitors_of_one_endpoint_share_a_connection_one_after_the_other() {
    let origin = RawOrigin::start().await;
    let endpoint = origin.endpoint();
    let mut bed = bed().endpoint(&endpoint).start().await;
    let mut connection = None;
    for _ in 0..3 {
        let mut visitor = bed.visitor().await;
        visitor.say(get("a.example")).await;
        let mut used = match connection.take() {
            Some(used) => used,
            None => origin.accept().await,
        };
        used.head().await;
        used.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await;
        assert!(visitor.rest().await.ends_with("ok"));
        bed.visit().await;
        connection = Some(used);
    }
    assert_eq!(endpoint.opened(), 1);
    let heads = endpoint.heads.lock().unwrap();
    assert_eq!((heads[0].source, heads[0].bind), (UNSPECIFIED, 7));
}

#[tokio::test]
async fn endpoints_share_nothing() {
    let target = origin(|_| async { Response::new(full("ok")) }).await;
    let [one, two] =
        ["a.example", "b.example"].map(|name| Arc::new(TestEndpoint::new(name, target.clone())));
    let mut bed = bed().endpoint(&one).endpoint(&two).start().await;
    for host in ["a.example", "b.example", "a.example", "b.example"] {
        assert!(bed.ask(get(host)).await.ends_with("ok"));
        bed.visit().await;
    }
    assert_eq!((one.opened(), two.opened()), (1, 1));
}

/// Answers the first request of a connection and hangs up on the second.
async fn fickle(origin: &RawOrigin) {
    let mut first = origin.accept().await;
    first.head().await;
    first
        .say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await;
    first.head().await;
    drop(first);
}

#[tokio::test]
async fn a_get_that_met_a_closing_connection_is_sent_again() {
    let origin = RawOrigin::start().await;
    let endpoint = origin.endpoint();
    let mut bed = bed().endpoint(&endpoint).start().await;
    let visits = async {
        assert!(bed.ask(get("a.example")).await.ends_with("ok"));
        bed.visit().await;
        assert!(bed.ask(get("a.example")).await.ends_with("again"));
    };
    let speak = async {
        fickle(&origin).await;
        let mut second = origin.accept().await;
        second.head().await;
        second
            .say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain")
            .await;
    };
    within(async { tokio::join!(visits, speak) }).await;
    assert_eq!(endpoint.opened(), 2);
    assert_eq!(bed.metrics().upstream_retried.get(), 1);
}

#[tokio::test]
async fn a_post_is_never_sent_twice() {
    let origin = RawOrigin::start().await;
    let endpoint = origin.endpoint();
    let mut bed = bed().endpoint(&endpoint).start().await;
    let visits = async {
        assert!(bed.ask(get("a.example")).await.ends_with("ok"));
        bed.visit().await;
        let answer = bed.ask("POST / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx").await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    };
    within(async { tokio::join!(visits, fickle(&origin)) }).await;
    assert_eq!(endpoint.opened(), 1);
}

#[tokio::test]
async fn a_connection_that_the_origin_has_closed_is_not_used() {
    let origin = RawOrigin::start().await;
    let endpoint = origin.endpoint();
    let mut bed = bed().endpoint(&endpoint).start().await;
    for n in 1..=3 {
        let ask = bed.ask(
            "POST / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Length: 1\r\n\r\n#",
        );
        let speak = async {
            let mut connection = origin.accept().await;
            connection.until("#").await;
            connection
                .say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                .await;
            assert!(connection.rest().await.is_empty());
        };
        let (answer, ()) = within(async { tokio::join!(ask, speak) }).await;
        assert!(answer.ends_with("ok"), "{answer}");
        bed.visit().await;
        assert_eq!(endpoint.opened(), n);
    }
}

#[tokio::test]
async fn what_is_left_idle_is_ended_cleanly() {
    let origin = RawOrigin::start().await;
    let bed = bed().endpoint(&origin.endpoint()).start().await;
    let ask = bed.ask(get("a.example"));
    let speak = async {
        let mut connection = origin.accept().await;
        connection.head().await;
        connection
            .say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await;
        connection
    };
    let (_, mut connection) = tokio::join!(ask, speak);
    tokio::time::pause();
    assert!(!connection.is_reset().await);
}

#[tokio::test]
async fn requests_to_an_h2c_origin_share_one_connection() {
    const TOGETHER: usize = 50;
    let all = Arc::new(tokio::sync::Barrier::new(TOGETHER));
    let target = origin(move |request| {
        let all = all.clone();
        async move {
            all.wait().await;
            Response::new(full(format!("{:?} {}", request.version(), request.uri())))
        }
    })
    .await;
    let endpoint =
        TestEndpoint::new("a.example", target).with(|terms| terms.protocol = OriginProtocol::H2c);
    let endpoint = Arc::new(endpoint);
    let bed = bed().endpoint(&endpoint).start().await;
    let visits = (0..TOGETHER).map(|_| bed.ask(get("a.example:4480")));
    for answer in within(futures_util::future::join_all(visits)).await {
        assert!(
            answer.ends_with("HTTP/2.0 http://a.example:4480/"),
            "{answer}"
        );
    }
    assert_eq!(endpoint.opened(), 1);
}

#[tokio::test]
async fn more_than_a_connection_carries_opens_another() {
    const TOGETHER: usize = 150;
    let all = Arc::new(tokio::sync::Barrier::new(TOGETHER));
    let target = origin(move |_| {
        let all = all.clone();
        async move {
            all.wait().await;
            Response::new(full("ok"))
        }
    })
    .await;
    let endpoint =
        TestEndpoint::new("a.example", target).with(|terms| terms.protocol = OriginProtocol::H2c);
    let endpoint = Arc::new(endpoint);
    let bed = bed().endpoint(&endpoint).start().await;
    let mut visitor = bed.h2().await;
    let visits: Vec<_> = (0..TOGETHER)
        .map(|_| visitor.send_request(Request::get("http://a.example/").body(full("")).unwrap()))
        .collect();
    for answer in within(futures_util::future::join_all(visits)).await {
        assert_eq!(
            answer
                .unwrap()
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes(),
            "ok"
        );
    }
    assert_eq!(endpoint.opened(), 2);
}
