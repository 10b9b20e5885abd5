//! One request over one connection, to a server that speaks JSON.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{dial, origin::Address};

/// For all of a request.
const REQUEST_WITHIN: Duration = Duration::from_secs(30);
/// The longest answer that is read: metadata and tokens have a few KiB.
const MAX_ANSWER: usize = 64 * 1024;

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A form is POSTed; without one the request is a GET.
pub(super) async fn ask(
    url: &str,
    form: Option<String>,
    roots: Arc<RootCertStore>,
) -> io::Result<(StatusCode, Bytes)> {
    dial::within(REQUEST_WITHIN, async {
        let url: Uri = url.parse().map_err(io::Error::other)?;
        let wire = connect(&url, roots).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(wire))
            .await
            .map_err(io::Error::other)?;
        let asking = async {
            let request = request(&url, form)?;
            let answer = sender.send_request(request).await;
            let answer = answer.map_err(io::Error::other)?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
            Ok((status, body.map_err(io::Error::other)?.to_bytes()))
        };
        // The connection does the work of both, and ends after the answer.
        let (asked, _) = tokio::join!(asking, connection);
        asked
    })
    .await
}

async fn connect(url: &Uri, roots: Arc<RootCertStore>) -> io::Result<Box<dyn Wire>> {
    let authority = url
        .authority()
        .ok_or_else(|| io::Error::other("a URL needs a host"))?;
    let address = |port| Address::parse(authority.as_str(), port).map_err(io::Error::other);
    match url.scheme_str() {
        Some("http") => {
            let to = address(80)?;
            Ok(Box::new(
                dial::tcp(&to.host, to.port, REQUEST_WITHIN).await?,
            ))
        }
        Some("https") => {
            let to = address(443)?;
            let config = dial::client_config(roots, &[b"http/1.1"]).map_err(io::Error::other)?;
            let tls = dial::tls(&to.host, to.port, config, REQUEST_WITHIN).await?;
            Ok(Box::new(tls))
        }
        _ => Err(io::Error::other("a URL begins with https:// or http://")),
    }
}

fn request(url: &Uri, form: Option<String>) -> io::Result<Request<Full<Bytes>>> {
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let host = url.authority().map_or("", |authority| authority.as_str());
    let builder = Request::builder()
        .uri(path)
        .header(header::HOST, host)
        .header(header::ACCEPT, "application/json")
        .header(header::CONNECTION, "close");
    let request = match form {
        None => builder.method(Method::GET).body(Full::default()),
        Some(form) => builder
            .method(Method::POST)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(form)),
    };
    request.map_err(io::Error::other)
}
