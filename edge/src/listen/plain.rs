//! The port of HTTP in the clear: served as it is, or sent to HTTPS.

use std::{convert::Infallible, sync::Arc};

use http::{HeaderValue, Request, Response, StatusCode, header, uri::Authority};
use http_body_util::Empty;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use model::Hostname;

use super::{Arrival, Front};
use crate::{
    PlainHttp,
    bounds::{HEADER_BYTES, HEADER_WITHIN},
    http::{self as proxy, VisitorConnection},
};

pub(super) async fn serve(front: Arc<Front>, arrival: Arrival) {
    match front.plain_http {
        PlainHttp::Serve => {
            let Arrival {
                stream,
                peer,
                local,
                slot: _slot,
                ..
            } = arrival;
            let visitor = VisitorConnection {
                peer,
                local,
                tls: None,
            };
            proxy::serve(
                stream,
                visitor,
                front.http.clone(),
                front.stages.leaving.clone(),
            )
            .await;
        }
        PlainHttp::Redirect => redirect(&front, arrival).await,
    }
}

async fn redirect(front: &Front, arrival: Arrival) {
    let port = front.desk.urls.https_port;
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(moved(&request, port))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_WITHIN)
        .max_header_size(HEADER_BYTES)
        .max_buf_size(HEADER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(arrival.stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a visitor's connection has failed");
    }
}

/// To the same place with `https`. Method and body stay what they are (RFC 9110, section 15.4.9).
fn moved<B>(request: &Request<B>, port: u16) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    match location(request, port) {
        Some(location) => {
            *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
            response.headers_mut().insert(header::LOCATION, location);
        }
        None => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}

fn location<B>(request: &Request<B>, port: u16) -> Option<HeaderValue> {
    let host = request.headers().get(header::HOST)?;
    let host = Authority::try_from(host.as_bytes()).ok()?;
    let name: Hostname = host.host().parse().ok()?;
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let port = if port == 443 {
        String::new()
    } else {
        format!(":{port}")
    };
    format!("https://{name}{port}{path}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location_of(host: &str, target: &str, port: u16) -> Option<String> {
        let request = Request::get(target)
            .header(header::HOST, host)
            .body(())
            .unwrap();
        location(&request, port).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_same_place_with_https() {
        let to = |host, target, port| location_of(host, target, port).unwrap();
        assert_eq!(to("A.example:80", "/x?y=1", 443), "https://a.example/x?y=1");
        assert_eq!(
            to("a.example", "http://b.example/", 4443),
            "https://a.example:4443/"
        );
    }

    #[test]
    fn what_is_no_host_leads_nowhere() {
        for host in ["", "127.0.0.1", "a b", "a.example/evil"] {
            assert_eq!(location_of(host, "/", 443), None, "{host:?}");
        }
    }
}
