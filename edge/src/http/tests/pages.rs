//! What a visitor is told when there is no answer to pass on.

use std::{sync::Arc, time::Duration};

use http_body_util::BodyExt;
use model::Kind;

use super::bed::{Bed, RawOrigin, Target, TestEndpoint, bed, full, get, within};
use crate::http::{End, OriginError, RouteError};

async fn failing(target: Target) -> Bed {
    bed()
        .endpoint(&Arc::new(TestEndpoint::new("a.example", target)))
        .start()
        .await
}

#[tokio::test]
async fn every_failure_has_its_status_and_code() {
    let bed = bed()
        .dead("off.example", RouteError::Offline)
        .dead("not.example", RouteError::NotHttp)
        .start()
        .await;
    for (host, status, code) in [
        ("nobody.example", "404 Not Found", "unknown-name"),
        ("off.example", "503 Service Unavailable", "offline"),
        ("not.example", "421 Misdirected Request", "misdirected"),
        ("127.0.0.1", "404 Not Found", "unknown-name"),
    ] {
        let answer = bed.ask(get(host)).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{answer}"
        );
        assert!(
            answer.contains(&format!("adit-error: {code}\r\n")) && answer.contains("<html"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn failures_of_the_origin_have_theirs_early_and_late() {
    for (error, status, code) in [
        (OriginError::Refused, 502, "origin-refused"),
        (OriginError::Aborted, 502, "origin-aborted"),
        (OriginError::Limit, 503, "busy"),
        (OriginError::Timeout, 504, "origin-timeout"),
        (OriginError::Gone, 503, "offline"),
    ] {
        for target in [Target::Fails(error), Target::FailsLate(error)] {
            let mut bed = failing(target.clone()).await;
            let answer = bed.ask(get("a.example")).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} "))
                    && answer.contains(&format!("adit-error: {code}\r\n")),
                "{target:?}: {answer}"
            );
            let visit = bed.visit().await;
            assert_eq!(
                (visit.status, visit.error, visit.end),
                (status, Some(code), End::Complete)
            );
            assert!(answer.contains(&format!("x-request-id: {}\r\n", visit.request)));
        }
    }
}

#[tokio::test]
async fn programs_get_json_and_head_gets_nothing() {
    let bed = failing(Target::Fails(OriginError::Refused)).await;
    let json = bed.ask("GET / HTTP/1.1\r\nHost: a.example\r\nAccept: application/json\r\nConnection: close\r\n\r\n").await;
    let (head, body) = json.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(head.contains("content-type: application/json"));
    assert_eq!(
        (&body["error"], &body["status"]),
        (&"origin-refused".into(), &502.into())
    );
    assert!(head.contains(body["request"].as_str().unwrap()));

    let head = bed
        .ask("HEAD / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        .await;
    assert!(
        head.starts_with("HTTP/1.1 502") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn grpc_gets_a_status_of_its_own() {
    let bed = bed().dead("off.example", RouteError::Offline).start().await;
    let mut visitor = bed.h2().await;
    for (host, status) in [("off.example", "14"), ("nobody.example", "12")] {
        let request = http::Request::post(format!("http://{host}/pkg.Service/Method"))
            .header("content-type", "application/grpc+proto")
            .header("te", "trailers")
            .body(full("x"))
            .unwrap();
        let answer = within(visitor.send_request(request)).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["grpc-status"]),
            (200, &status.parse().unwrap())
        );
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        assert!(
            answer
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn a_name_that_the_connection_is_not_for_is_misdirected() {
    let origin = RawOrigin::start().await;
    let http = origin.endpoint();
    let tls =
        TestEndpoint::new("tls.example", origin.target()).with(|terms| terms.kind = Kind::Tls);
    let bed = bed()
        .endpoint(&http)
        .endpoint(&Arc::new(tls))
        .tls("http/1.1", &["tls.example", "*.wild.example"])
        .start()
        .await;
    for host in [
        "a.example",
        "tls.example",
        "x.y.wild.example",
        "wild.example",
    ] {
        let answer = bed.ask(get(host)).await;
        assert!(
            answer.starts_with("HTTP/1.1 421 Misdirected Request"),
            "{host}: {answer}"
        );
    }
    assert!(
        bed.ask(get("x.wild.example"))
            .await
            .starts_with("HTTP/1.1 404")
    );
    assert_eq!(http.opened(), 0);
}

#[tokio::test]
async fn an_origin_that_stays_silent_times_out() {
    let origin = RawOrigin::start().await;
    let bed = bed()
        .endpoint(&origin.endpoint())
        .limits(|limits| limits.answer = Duration::from_millis(50))
        .start()
        .await;
    let ask = bed.ask(get("a.example"));
    let silence = async {
        let mut connection = origin.accept().await;
        connection.head().await;
        assert!(
            connection.is_reset().await,
            "the origin must learn that nobody waits any more"
        );
    };
    let (answer, ()) = within(async { tokio::join!(ask, silence) }).await;
    assert!(
        answer.starts_with("HTTP/1.1 504") && answer.contains("origin-timeout"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_visitor_who_stops_in_his_body_is_told_so() {
    let origin = RawOrigin::start().await;
    let bed = bed()
        .endpoint(&origin.endpoint())
        .limits(|limits| limits.answer = Duration::from_millis(50))
        .start()
        .await;
    let mut visitor = bed.visitor().await;
    visitor
        .say("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nabc")
        .await;
    let mut connection = origin.accept().await;
    assert!(visitor.head().await.starts_with("HTTP/1.1 408"));
    assert!(connection.is_reset().await);
}
