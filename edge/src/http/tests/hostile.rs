//! Visitors and origins that break the rules: each gets a clear answer, and nobody's bytes become somebody else's request.

use std::sync::Arc;

use super::bed::{Bed, RawOrigin, TestEndpoint, bed, full, get, origin, within};
use http::Response;
use http_body_util::BodyExt;

/// Counts what reaches it; says 200 with the length of the body.
async fn counting() -> (Bed, Arc<TestEndpoint>) {
    let target = origin(|request| async {
        let body = request
            .into_body()
            .collect()
            .await
            .map(|body| body.to_bytes().len());
        Response::new(full(format!("got {}", body.unwrap_or(0))))
    })
    .await;
    let endpoint = Arc::new(TestEndpoint::new("a.example", target));
    (bed().endpoint(&endpoint).start().await, endpoint)
}

#[tokio::test]
async fn malformed_requests_are_refused_before_the_origin() {
    let (bed, endpoint) = counting().await;
    let long = format!(
        "GET / HTTP/1.1\r\nHost: a.example\r\nX: {}\r\n\r\n",
        "x".repeat(70_000)
    );
    let many = format!(
        "GET / HTTP/1.1\r\nHost: a.example\r\n{}\r\n",
        "X: y\r\n".repeat(200)
    );
    let path = format!(
        "GET /{} HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "x".repeat(65_600)
    );
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        (
            "GET / HTTP/1.1\r\nHost: a.example\r\nHost: a.example\r\n\r\n",
            "400",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
            "400",
        ),
        (
            "GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "400",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a.example\r\nX: one\r\n two\r\n\r\n",
            "400",
        ),
        ("GET / HTTP/1.1\r\nHost : a.example\r\n\r\n", "400"),
        (
            "GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "400",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: +1\r\n\r\na",
            "400",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1, 1\r\n\r\na",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "501",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a.example\r\nX: a\0b\r\n\r\n",
            "400",
        ),
        ("G@T / HTTP/1.1\r\nHost: a.example\r\n\r\n", "400"),
        ("GET / HTTP/7.1\r\nHost: a.example\r\n\r\n", "400"),
        (
            "CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\r\n",
            "405",
        ),
        (
            "TRACE / HTTP/1.1\r\nHost: a.example\r\nCookie: secret\r\n\r\n",
            "405",
        ),
        (&long, "431"),
        (&many, "431"),
        (&path, "4"),
    ] {
        let mut visitor = bed.visitor().await;
        // The edge may close before it has read all of a request that is too long.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut visitor.0, request.as_bytes()).await;
        let answer = visitor.head().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{request:.80} -> {answer}"
        );
    }
    assert_eq!(endpoint.opened(), 0);
}

#[tokio::test]
async fn a_length_beside_chunks_is_not_passed_on() {
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
    ] {
        let origin = RawOrigin::start().await;
        let bed = bed().endpoint(&origin.endpoint()).start().await;
        let ask = bed.ask(format!("POST / HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"));
        let answer = async {
            let mut connection = origin.accept().await;
            let head = connection.head().await;
            assert!(
                head.contains("transfer-encoding: chunked") && !head.contains("content-length"),
                "{head}"
            );
            assert_eq!(connection.until("0\r\n\r\n").await, "3\r\nabc\r\n0\r\n\r\n");
            connection
                .say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await;
        };
        let (answer, ()) = tokio::join!(ask, answer);
        // The rest of such a connection is not trusted: it closes after the answer.
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn a_bad_chunk_is_the_visitors_fault_and_resets_the_origin() {
    let origin = RawOrigin::start().await;
    let mut bed = bed().endpoint(&origin.endpoint()).start().await;
    let mut visitor = bed.visitor().await;
    visitor
        .say("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .await;
    let mut connection = origin.accept().await;
    connection.until("3\r\nabc\r\n").await;
    visitor.say("zz\r\nGET / HTTP/1.1\r\n\r\n").await;
    let answer = visitor.rest().await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
        "{answer}"
    );
    assert!(
        connection.is_reset().await,
        "a broken upload must not look like a whole one"
    );
    let visit = bed.visit().await;
    assert!(matches!(visit.status, 400 | 499), "{visit:?}");
}

#[tokio::test]
async fn after_the_upgrade_to_h2c_is_ignored_http_goes_on() {
    let (bed, endpoint) = counting().await;
    let answer = bed
        .ask("GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("got 0"),
        "{answer}"
    );
    assert_eq!(endpoint.opened(), 1);
}

#[tokio::test]
async fn origins_that_break_http_give_502() {
    for (answer, code) in [
        ("SSH-2.0-OpenSSH_9.6\r\n", "origin-invalid"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "origin-invalid",
        ),
        (
            "HTTP/1.1 200 OK\r\nX: one\r\n two\r\n\r\n",
            "origin-invalid",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "origin-invalid",
        ),
        ("HTTP/1.1 20", "origin-aborted"),
        ("", "origin-aborted"),
    ] {
        let origin = RawOrigin::start().await;
        let bed = bed().endpoint(&origin.endpoint()).start().await;
        let ask = bed.ask(get("a.example"));
        let speak = async {
            let mut connection = origin.accept().await;
            connection.head().await;
            connection.say(answer).await;
        };
        let (seen, ()) = within(async { tokio::join!(ask, speak) }).await;
        assert!(
            seen.starts_with("HTTP/1.1 502") && seen.contains(&format!("adit-error: {code}")),
            "{answer:?} -> {seen}"
        );
    }
}

#[tokio::test]
async fn a_head_of_an_origin_without_end_is_cut() {
    let origin = RawOrigin::start().await;
    let bed = bed().endpoint(&origin.endpoint()).start().await;
    let ask = bed.ask(get("a.example"));
    let speak = async {
        let mut connection = origin.accept().await;
        connection.head().await;
        connection.say("HTTP/1.1 200 OK\r\n").await;
        while tokio::io::AsyncWriteExt::write_all(&mut connection.0, &[b'x'; 8192])
            .await
            .is_ok()
        {}
    };
    let (seen, ()) = within(async { tokio::join!(ask, speak) }).await;
    assert!(seen.starts_with("HTTP/1.1 502"), "{seen}");
}

#[tokio::test]
async fn a_visitor_who_never_ends_his_head_is_cut() {
    for first in ["", "G", "GET / HTTP/1.1\r\nHost: a.ex"] {
        let bed = bed()
            .limits(|limits| limits.head = std::time::Duration::from_millis(50))
            .start()
            .await;
        let mut visitor = bed.visitor().await;
        visitor.say(first).await;
        assert_eq!(visitor.rest().await, "");
    }
}
