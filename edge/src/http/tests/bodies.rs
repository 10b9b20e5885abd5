//! Bodies pass as they come: neither collected nor held back, and an end that is none is seen as such.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::bed::{Raw, RawOrigin, TestEndpoint, bed, full, get, origin, within};
use super::streams::Resetting;
use crate::http::End;

#[tokio::test]
async fn an_event_arrives_before_the_next_is_sent() {
    let origin = RawOrigin::start().await;
    let bed = bed().endpoint(&origin.endpoint()).start().await;
    let mut visitor = bed.visitor().await;
    visitor.say(get("a.example")).await;
    let mut connection = origin.accept().await;
    connection.head().await;
    connection.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    visitor.head().await;
    for n in 0..3 {
        let event = format!("data: {n}\n\n");
        connection
            .say(format!("{:x}\r\n{event}\r\n", event.len()))
            .await;
        visitor.until(&format!("{event}\r\n")).await;
    }
    connection.say("0\r\n\r\n").await;
    assert_eq!(visitor.rest().await, "0\r\n\r\n");
}

#[tokio::test]
async fn large_bodies_go_through_both_ways() {
    const SIZE: usize = 24 * 1024 * 1024;
    let target = origin(|request| async { Response::new(request.into_body().boxed()) }).await;
    let mut bed = bed()
        .endpoint(&Arc::new(TestEndpoint::new("a.example", target)))
        .start()
        .await;
    let (mut read, mut write) = bed.visitor().await.0.into_split();
    let upload = tokio::spawn(async move {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Length: {SIZE}\r\n\r\n"
        );
        write.write_all(head.as_bytes()).await.unwrap();
        for n in 0..SIZE / 65536 {
            write.write_all(&[n as u8; 65536]).await.unwrap();
        }
        write
    });
    let mut seen = Vec::new();
    within(read.read_to_end(&mut seen)).await.unwrap();
    let body = seen
        .windows(4)
        .position(|part| part == b"\r\n\r\n")
        .unwrap()
        + 4;
    assert_eq!(seen.len() - body, SIZE);
    assert!(
        seen[body..]
            .iter()
            .enumerate()
            .all(|(at, byte)| *byte == (at / 65536) as u8)
    );
    drop(upload.await.unwrap());
    let visit = bed.visit().await;
    assert_eq!(
        (visit.up, visit.down, visit.end),
        (SIZE as u64, SIZE as u64, End::Complete)
    );
}

#[tokio::test]
async fn an_origin_that_does_not_read_stops_the_visitor() {
    const FAR_TOO_MUCH: usize = 256 * 1024 * 1024;
    let origin = RawOrigin::start().await;
    let bed = bed().endpoint(&origin.endpoint()).start().await;
    let mut visitor = bed.visitor().await;
    visitor
        .say(format!(
            "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {FAR_TOO_MUCH}\r\n\r\n"
        ))
        .await;
    let _connection = origin.accept().await;
    let mut sent = 0;
    // Whatever the kernel's buffers hold, it is far from all; when nothing moves for a while, nothing will.
    while let Ok(Ok(n)) = tokio::time::timeout(
        std::time::Duration::from_millis(300),
        visitor.0.write(&[0; 65536]),
    )
    .await
    {
        sent += n;
    }
    assert!(sent < FAR_TOO_MUCH / 4, "{sent} bytes went somewhere");
}

#[tokio::test]
async fn a_truncated_answer_is_truncated_for_the_visitor() {
    for (answer, whole) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
            "content-length: 100",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
            "transfer-encoding: chunked",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\nzz\r\n",
            "transfer-encoding: chunked",
        ),
    ] {
        let origin = RawOrigin::start().await;
        let mut bed = bed().endpoint(&origin.endpoint()).start().await;
        let mut visitor = bed.visitor().await;
        visitor
            .say("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            .await;
        let mut connection = origin.accept().await;
        connection.head().await;
        connection.say(answer).await;
        let head = visitor.head().await;
        assert!(head.contains(whole), "{head}");
        visitor.until("only this").await;
        drop(connection);
        let rest = visitor.rest().await;
        assert!(!rest.contains("0\r\n\r\n"), "{answer:?} -> {rest:?}");
        assert_eq!(bed.visit().await.end, End::OriginBroke);

        let mut two = bed.h2().await;
        let asking = two.send_request(Request::get("http://a.example/").body(full("")).unwrap());
        let speak = async {
            let mut connection = origin.accept().await;
            connection.head().await;
            connection.say(answer).await;
        };
        let (response, ()) = tokio::join!(asking, speak);
        let end = match response {
            Ok(response) => within(response.into_body().collect()).await.map(|_| ()),
            Err(error) => Err(error),
        };
        assert!(end.is_err(), "{answer:?}");
    }
}

/// TLS says "close_notify" when it is shut down, and nothing when it is dropped: here that is an end or a reset.
#[tokio::test]
async fn only_a_whole_answer_shuts_the_visitors_connection_down() {
    for (answer, whole) in [("whole", true), ("half", false)] {
        let origin = RawOrigin::start().await;
        let bed = bed().endpoint(&origin.endpoint()).start().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(tokio::net::TcpStream::connect(addr), listener.accept());
        let mut visitor = Raw(near.unwrap());
        let serve = bed.serve(Resetting::from(far.unwrap().0));
        let talk = async {
            visitor.say(get("a.example")).await;
            let mut connection = origin.accept().await;
            connection.head().await;
            connection
                .say(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{answer}"
                ))
                .await;
            visitor.head().await;
            drop(connection);
            visitor.is_reset().await
        };
        let ((), reset) = within(async { tokio::join!(serve, talk) }).await;
        assert_eq!(reset, !whole);
    }
}

#[tokio::test]
async fn an_answer_until_the_end_of_the_connection_ends_cleanly() {
    let origin = RawOrigin::start().await;
    let mut bed = bed().endpoint(&origin.endpoint()).start().await;
    let ask = bed.ask(get("a.example"));
    let speak = async {
        let mut connection = origin.accept().await;
        connection.head().await;
        connection.say("HTTP/1.0 200 OK\r\n\r\nall of it").await;
    };
    let (answer, ()) = tokio::join!(ask, speak);
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("9\r\nall of it\r\n0\r\n\r\n"),
        "{answer}"
    );
    assert_eq!(bed.visit().await.end, End::Complete);
}

#[tokio::test]
async fn a_visitor_who_leaves_resets_the_origin() {
    // Before the answer, in the middle of the upload, and in the middle of the answer.
    for (request, answer) in [
        ("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", None),
        (
            "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nabc",
            None,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
            Some("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
        ),
    ] {
        let origin = RawOrigin::start().await;
        let mut bed = bed().endpoint(&origin.endpoint()).start().await;
        let mut visitor = bed.visitor().await;
        visitor.say(request).await;
        let mut connection = origin.accept().await;
        connection.head().await;
        if let Some(answer) = answer {
            connection.say(answer).await;
            visitor.until("abc").await;
        }
        drop(visitor);
        assert!(connection.is_reset().await, "{request:?} {answer:?}");
        let visit = bed.visit().await;
        assert_eq!(visit.end, End::VisitorLeft, "{visit:?}");
    }
}

#[tokio::test]
async fn a_stream_that_a_visitor_resets_resets_the_origin() {
    for protocol in [
        tunnel::message::OriginProtocol::H1,
        tunnel::message::OriginProtocol::H2c,
    ] {
        let (gone, mut told) = tokio::sync::mpsc::unbounded_channel::<()>();
        let target = origin(move |_| {
            let gone = gone.clone();
            async move {
                let (mut sender, body) =
                    http_body_util::channel::Channel::<Bytes, hyper::Error>::new(1);
                tokio::spawn(async move {
                    while sender
                        .send_data(Bytes::from_static(&[0; 16384]))
                        .await
                        .is_ok()
                    {}
                    gone.send(()).ok();
                });
                Response::new(body.boxed())
            }
        })
        .await;
        let endpoint =
            TestEndpoint::new("a.example", target).with(|terms| terms.protocol = protocol);
        let bed = bed().endpoint(&Arc::new(endpoint)).start().await;
        let mut visitor = bed.h2().await;
        let response =
            within(visitor.send_request(Request::get("http://a.example/").body(full("")).unwrap()))
                .await
                .unwrap();
        let mut body = response.into_body();
        within(body.frame()).await.unwrap().unwrap();
        drop(body);
        within(told.recv()).await.unwrap();
        // The connection itself lives on.
        let again = Request::get("http://nobody.example/")
            .body(full(""))
            .unwrap();
        assert_eq!(
            within(visitor.send_request(again)).await.unwrap().status(),
            404
        );
    }
}
