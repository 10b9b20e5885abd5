//! What arrives of a plain request and of its answer.

use std::sync::Arc;

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::bed::{Bed, RawOrigin, TestEndpoint, bed, full, get, origin};
use crate::http::End;

/// Tells the visitor what the origin was told.
async fn mirror(
    request: Request<Incoming>,
) -> Response<http_body_util::combinators::BoxBody<bytes::Bytes, hyper::Error>> {
    let (parts, body) = request.into_parts();
    let mut told = format!("{} {}\n", parts.method, parts.uri);
    for (name, value) in &parts.headers {
        told += &format!("{name}: {}\n", value.to_str().unwrap());
    }
    told += &String::from_utf8_lossy(&body.collect().await.unwrap().to_bytes());
    Response::builder()
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("x-kept", "2")
        .body(full(told))
        .unwrap()
}

async fn mirrored() -> (Bed, Arc<TestEndpoint>) {
    let endpoint = Arc::new(TestEndpoint::new("a.example", origin(mirror).await));
    (bed().endpoint(&endpoint).start().await, endpoint)
}

#[tokio::test]
async fn a_request_and_its_answer_arrive_with_their_fields() {
    let (mut bed, endpoint) = mirrored().await;
    let answer = bed
        .ask("POST /a%20b?q=1 HTTP/1.1\r\nHost: A.example:4480\r\nConnection: close, x-secret\r\nX-Secret: no\r\nX-Own: yes\r\nContent-Length: 4\r\nX-Forwarded-For: 6.6.6.6\r\n\r\nbody")
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n")
            && answer.contains("x-kept: 2")
            && !answer.contains("x-hop"),
        "{answer}"
    );
    for told in [
        "POST /a%20b?q=1\n",
        "\nhost: A.example:4480\n",
        "\nx-own: yes\n",
        "\nx-forwarded-for: 127.0.0.1\n",
        "\nx-forwarded-proto: http\n",
        "\nx-forwarded-host: A.example:4480\n",
        "\nx-forwarded-port: 4480\n",
        "\nforwarded: for=127.0.0.1;host=\"A.example:4480\";proto=http\n",
        "\ncontent-length: 4\n",
    ] {
        assert!(answer.contains(told), "{told} in {answer}");
    }
    assert!(
        !answer.contains("6.6.6.6") && !answer.contains("x-secret") && answer.ends_with("body"),
        "{answer}"
    );

    let visit = bed.visit().await;
    assert_eq!(
        (
            visit.status,
            visit.end,
            visit.method.as_str(),
            visit.path.as_str()
        ),
        (200, End::Complete, "POST", "/a%20b")
    );
    assert_eq!(
        (visit.up, visit.host.unwrap().as_str(), visit.version),
        (4, "a.example", "1.1")
    );
    assert!(answer.contains(&format!("x-request-id: {}", visit.request)));
    let told = endpoint.told.lock().unwrap();
    assert_eq!(
        (told[0].id, told[0].status, told[0].down),
        (7, 200, visit.down)
    );
}

#[tokio::test]
async fn the_host_can_be_rewritten() {
    let endpoint = TestEndpoint::new("a.example", origin(mirror).await)
        .with(|terms| terms.host_header = Some("localhost:3000".parse().unwrap()));
    let bed = bed().endpoint(&Arc::new(endpoint)).start().await;
    let answer = bed.ask(get("a.example")).await;
    assert!(
        answer.contains("\nhost: localhost:3000\n")
            && answer.contains("\nx-forwarded-host: a.example\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_order() {
    let (bed, endpoint) = mirrored().await;
    let mut visitor = bed.visitor().await;
    visitor
        .say("GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        .await;
    let answers = visitor.rest().await;
    let at: Vec<_> = ["GET /1\n", "POST /2\n", "GET /3\n"]
        .iter()
        .map(|line| answers.find(line).unwrap())
        .collect();
    assert!(at.is_sorted(), "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3);
    assert!(endpoint.opened() <= 3);
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let (bed, _) = mirrored().await;
    let answer = bed
        .ask("GET / HTTP/1.0\r\nHost: a.example\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert!(
        answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.contains("\nhost: a.example\n"),
        "{answer}"
    );
    assert!(
        !answer.contains("transfer-encoding: chunked") && !answer.contains("expect"),
        "{answer}"
    );
}

#[tokio::test]
async fn head_keeps_the_length_and_has_no_body() {
    let origin = RawOrigin::start().await;
    let bed = bed().endpoint(&origin.endpoint()).start().await;
    let ask = bed.ask("HEAD / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
    let answer = async {
        let mut connection = origin.accept().await;
        assert!(connection.head().await.starts_with("HEAD / "));
        connection
            .say("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
            .await;
    };
    let (answer, ()) = tokio::join!(ask, answer);
    assert!(
        answer.contains("content-length: 1234\r\n") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn options_for_the_server_and_absolute_targets_pass() {
    let (bed, _) = mirrored().await;
    let star = bed
        .ask("OPTIONS * HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        .await;
    assert!(star.contains("OPTIONS *\n"), "{star}");
    let absolute = bed
        .ask("GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        .await;
    assert!(absolute.contains("GET /x?y\n"), "{absolute}");
}

#[tokio::test]
async fn trailers_go_both_ways_in_http_1() {
    let origin = RawOrigin::start().await;
    let bed = bed().endpoint(&origin.endpoint()).start().await;
    let ask = bed.ask("POST / HTTP/1.1\r\nHost: a.example\r\nTE: trailers\r\nConnection: close, TE\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nx-sum: up\r\n\r\n");
    let answer = async {
        let mut connection = origin.accept().await;
        let head = connection.head().await;
        assert!(
            head.contains("te: trailers\r\n") && head.contains("connection: te\r\n"),
            "{head}"
        );
        connection.until("x-sum: up\r\n\r\n").await;
        connection.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n3\r\nxyz\r\n0\r\nx-sum: down\r\n\r\n").await;
    };
    let (answer, ()) = tokio::join!(ask, answer);
    assert!(answer.ends_with("0\r\nx-sum: down\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn draining_finishes_what_is_under_way_and_takes_no_more() {
    let origin = RawOrigin::start().await;
    let bed = bed().endpoint(&origin.endpoint()).start().await;
    let (mut busy, mut idle) = (bed.visitor().await, bed.visitor().await);
    busy.say("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
    let mut connection = origin.accept().await;
    connection.head().await;
    bed.drain.cancel();
    assert_eq!(idle.rest().await, "");
    connection
        .say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
        .await;
    assert!(busy.rest().await.ends_with("done"));
}
