//! The TLS port: who ends TLS for which name, and what others are told.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::{Kind, Sharing};
use rustls::{AlertDescription, ServerConfig, sign::SingleCertAndKey};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::{
    agent::{ALL, Agent},
    bed::{Bed, EDGE, within},
    ca::Ca,
};
use crate::{ConnectionEnd, PlainHttp, Reserved};

fn alert_of(error: &std::io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

#[tokio::test]
async fn a_name_that_is_nobodys_gets_an_alert_and_no_certificate() {
    let bed = Bed::start().await;
    bed.claim("a.localhost", Kind::Http, Sharing::Exclusive)
        .await;
    bed.claim_port().await;
    for name in ["b.localhost", "x.a.localhost", "localhost", "127.0.0.1"] {
        let error = bed.visit_tls(name, &[]).await.unwrap_err();
        assert_eq!(
            alert_of(&error),
            Some(AlertDescription::UnrecognisedName),
            "{name}: {error}"
        );
    }
    assert_eq!(*bed.ca.asked.lock().unwrap(), [EDGE]);
}

#[tokio::test]
async fn a_passthrough_endpoint_keeps_its_key_and_its_bytes() {
    for kind in ALL {
        let bed = Bed::start().await;
        let host = bed
            .claim("t.localhost", Kind::Tls, Sharing::Exclusive)
            .await;
        let agent = Agent::join(&bed, kind, bed.hello(&[&host]).await)
            .await
            .unwrap();
        assert_eq!(
            agent.welcome.bound[0].url,
            Some(format!("tls://t.localhost:{}", bed.tls().port()))
        );
        let own = Ca::new();
        let key = own.issue(&"t.localhost".parse().unwrap());
        let tls = ServerConfig::builder()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        let origin = async {
            let (head, stream) = agent.accept().await;
            assert_eq!(head.authority.as_deref(), Some("t.localhost"));
            assert!(!head.tls);
            let mut stream = within(TlsAcceptor::from(Arc::new(tls)).accept(stream))
                .await
                .unwrap();
            stream.write_all(b"from the device").await.unwrap();
            stream.shutdown().await.unwrap();
            stream
        };
        let visitor = async {
            let stream = Dribble(TcpStream::connect(bed.tls()).await.unwrap());
            let connector = tokio_rustls::TlsConnector::from(Arc::new(own.client(&[])));
            let name = rustls::pki_types::ServerName::try_from("t.localhost").unwrap();
            let mut stream = within(connector.connect(name, stream)).await.unwrap();
            let mut all = String::new();
            within(stream.read_to_string(&mut all)).await.unwrap();
            stream.shutdown().await.unwrap();
            all
        };
        let (mut stream, all) = tokio::join!(origin, visitor);
        assert_eq!(all, "from the device", "{kind}");
        within(stream.read(&mut [0])).await.unwrap();
        drop(stream);
        let line = bed.log.lines(1).await.remove(0);
        assert_eq!(
            (line.kind, line.host.unwrap().to_string()),
            (Kind::Tls, "t.localhost".into())
        );
        assert_eq!(line.claim, Some(host.claim));
        let asked = bed.ca.asked.lock().unwrap();
        assert!(
            asked.iter().all(|name| name == EDGE),
            "the edge has a key for it: {asked:?}"
        );
    }
}

/// Writes in small pieces, so that a ClientHello comes in many segments.
struct Dribble(TcpStream);

impl tokio::io::AsyncRead for Dribble {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl tokio::io::AsyncWrite for Dribble {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        let some = bytes.len().min(17);
        std::pin::Pin::new(&mut self.0).poll_write(cx, &bytes[..some])
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_passthrough_endpoint_without_agent_is_told_so() {
    let bed = Bed::start().await;
    bed.claim("t.localhost", Kind::Tls, Sharing::Exclusive)
        .await;
    let error = bed.visit_tls("t.localhost", &[]).await.unwrap_err();
    assert_eq!(alert_of(&error), Some(AlertDescription::InternalError));
    assert_eq!(bed.log.lines(1).await[0].end, ConnectionEnd::Offline);
}

#[tokio::test]
async fn the_edges_own_name_speaks_a_few_words_of_http() {
    let bed = Bed::start().await;
    for (path, status, body) in [
        ("/", "200 OK", "\"edge\":\"edge1\""),
        ("/other", "404 Not Found", "not found"),
        ("/.well-known/tunnel", "426 Upgrade Required", "\"code\":2"),
    ] {
        let mut stream = bed.visit_tls(EDGE, &[b"h2", b"http/1.1"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let request = format!("GET {path} HTTP/1.1\r\nhost: {EDGE}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains(body), "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_tls_is_told_so() {
    let bed = Bed::start().await;
    let mut stream = TcpStream::connect(bed.tls()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a.localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    within(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
    let mut stream = TcpStream::connect(bed.tls()).await.unwrap();
    stream.write_all(&[0xff; 64]).await.unwrap();
    let mut answer = [0; 1];
    within(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, [21], "an alert");
}

/// A control plane that says what it was asked for, in h2c.
async fn control_plane() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|request: Request<Incoming>| async move {
                let seen = format!("{:?} {}", request.version(), request.uri());
                Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(seen))))
            });
            let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

#[tokio::test]
async fn reserved_names_lead_to_the_control_plane() {
    let to = control_plane().await;
    let names = vec!["adit.localhost".parse().unwrap()];
    let bed = Bed::start_with(|config| {
        config.reserved = Some(Reserved {
            names,
            to: vec![to.to_string()],
        })
    })
    .await;
    let stream = bed.visit_tls("adit.localhost", &[b"h2"]).await.unwrap();
    let http = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = http.await.unwrap();
    let driver = tokio::spawn(connection);
    let request =
        Request::get("https://adit.localhost/adit.v1.Keys/List").body(Empty::<Bytes>::new());
    let response = within(sender.send_request(request.unwrap())).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "HTTP/2.0 http://adit.localhost/adit.v1.Keys/List");
    driver.abort();
    // Over HTTP in the clear, the same.
    let mut stream = TcpStream::connect(bed.addresses.http[0]).await.unwrap();
    stream
        .write_all(b"GET /x HTTP/1.1\r\nhost: adit.localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(
        answer.ends_with("HTTP/2.0 http://adit.localhost/x"),
        "{answer}"
    );
}

#[tokio::test]
async fn http_in_the_clear_may_be_sent_to_https() {
    let bed = Bed::start_with(|config| config.plain_http = PlainHttp::Redirect).await;
    let mut stream = TcpStream::connect(bed.addresses.http[0]).await.unwrap();
    stream
        .write_all(b"GET /x?y HTTP/1.1\r\nhost: a.localhost:80\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
    assert!(
        answer.contains(&format!(
            "location: https://a.localhost:{}/x?y\r\n",
            bed.tls().port()
        )),
        "{answer}"
    );
}
