//! Visitors of HTTP/2: each request is routed by its own authority, and gRPC's trailers arrive.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tunnel::message::OriginProtocol;

use super::bed::{TestEndpoint, bed, full, origin, within};
use crate::http::End;

#[tokio::test]
async fn one_connection_reaches_the_names_of_its_certificate_and_no_other() {
    let mut builder = bed().tls("h2", &["a.example", "b.example"]);
    for name in ["a.example", "b.example", "c.example"] {
        let target = origin(move |_| async move { Response::new(full(name)) }).await;
        builder = builder.endpoint(&Arc::new(TestEndpoint::new(name, target)));
    }
    let bed = builder.start().await;
    let mut visitor = bed.h2().await;
    for (name, status) in [
        ("a.example", 200),
        ("c.example", 421),
        ("b.example", 200),
        ("a.example", 200),
    ] {
        let request = Request::get(format!("https://{name}/"))
            .body(full(""))
            .unwrap();
        let response = within(visitor.send_request(request)).await.unwrap();
        assert_eq!(response.status(), status, "{name}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body == name, status == 200);
    }
}

#[tokio::test]
async fn authority_and_host_must_agree() {
    let target = origin(|_| async { Response::new(full("ok")) }).await;
    let bed = bed()
        .endpoint(&Arc::new(TestEndpoint::new("a.example", target)))
        .start()
        .await;
    let mut visitor = bed.h2().await;
    for (host, status) in [
        ("a.example", 200),
        ("A.EXAMPLE:80", 200),
        ("b.example", 400),
    ] {
        let request = Request::get("http://a.example/")
            .header("host", host)
            .body(full(""))
            .unwrap();
        assert_eq!(
            within(visitor.send_request(request))
                .await
                .unwrap()
                .status(),
            status,
            "{host}"
        );
    }
}

/// Sends back what it gets, message by message, and a status in the trailers.
async fn grpc_echo(protocol: OriginProtocol) -> Arc<TestEndpoint> {
    let target = origin(|request| async {
        assert_eq!(
            (request.version(), &request.headers()["te"]),
            (Version::HTTP_2, &"trailers".parse().unwrap())
        );
        assert!(!request.headers().contains_key("host"));
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        Response::builder()
            .header("content-type", "application/grpc")
            .body(
                request
                    .into_body()
                    .with_trailers(async move { Some(Ok(trailers)) })
                    .boxed(),
            )
            .unwrap()
    })
    .await;
    Arc::new(TestEndpoint::new("a.example", target).with(|terms| terms.protocol = protocol))
}

#[tokio::test]
async fn both_directions_of_a_call_run_at_once_and_trailers_end_it() {
    let mut bed = bed()
        .endpoint(&grpc_echo(OriginProtocol::H2c).await)
        .start()
        .await;
    let mut visitor = bed.h2().await;
    let (messages, rest) = futures_channel();
    let request = Request::post("http://a.example/pkg.Service/Talk")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(StreamBody::new(rest).boxed())
        .unwrap();
    let response = within(visitor.send_request(request)).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    let mut body = response.into_body();
    for message in ["one", "two", "three"] {
        messages
            .send(Ok(Frame::data(Bytes::from(message))))
            .unwrap();
        let frame = within(body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), message);
    }
    drop(messages);
    let trailers = within(body.frame())
        .await
        .unwrap()
        .unwrap()
        .into_trailers()
        .unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    assert!(within(body.frame()).await.is_none());
    let visit = bed.visit().await;
    assert_eq!(
        (visit.version, visit.up, visit.down, visit.end),
        ("2", 11, 11, End::Complete)
    );
}

type Frames = Result<Frame<Bytes>, hyper::Error>;

fn futures_channel() -> (
    tokio::sync::mpsc::UnboundedSender<Frames>,
    impl futures_util::Stream<Item = Frames>,
) {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    (
        sender,
        futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx)),
    )
}

#[tokio::test]
async fn a_get_of_http_2_has_no_body_in_http_1_and_its_cookies_are_one() {
    let origin = super::bed::RawOrigin::start().await;
    let bed = bed().endpoint(&origin.endpoint()).start().await;
    let mut visitor = bed.h2().await;
    let request = Request::get("http://a.example/x")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(full(""))
        .unwrap();
    let asking = visitor.send_request(request);
    let speak = async {
        let mut connection = origin.accept().await;
        let head = connection.head().await;
        connection.say("HTTP/1.1 204 No Content\r\n\r\n").await;
        head
    };
    let (response, head) = within(async { tokio::join!(asking, speak) }).await;
    assert_eq!(response.unwrap().status(), 204);
    assert!(
        head.starts_with("GET /x HTTP/1.1\r\n")
            && head.contains("host: a.example\r\n")
            && head.contains("cookie: a=1; b=2\r\n"),
        "{head}"
    );
    assert!(
        !head.contains("content-length") && !head.contains("transfer-encoding"),
        "{head}"
    );
}

#[tokio::test]
async fn a_connection_without_requests_is_ended() {
    let bed = bed()
        .tls("h2", &[])
        .limits(|limits| limits.head = std::time::Duration::from_millis(50))
        .start()
        .await;
    // Not even the preface comes.
    let mut visitor = bed.visitor().await;
    tokio::time::pause();
    visitor.rest().await;
}
