use std::{convert::Infallible, net::Ipv4Addr, sync::Arc};

use hyper::{server::conn::http1 as server, service::service_fn};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::{
    tls_for_tests::{NAME, tls},
    transport::suite::{Pair, suite},
};

suite!(pair);

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// Both ends of a TLS connection over loopback.
async fn pair() -> Pair {
    let tls = tls();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let dialling = async {
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let connector = TlsConnector::from(Arc::new(tls.client));
        let name = ServerName::try_from(NAME).unwrap();
        connector.connect(name, tcp).await.unwrap()
    };
    let accepting = async {
        let (tcp, peer) = listener.accept().await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls.server));
        (acceptor.accept(tcp).await.unwrap(), peer)
    };
    let (client, (server, peer)) = tokio::join!(dialling, accepting);
    let (agent, edge) = tokio::join!(connect(client, NAME, address), edge(server, peer));
    Pair {
        agent: Arc::new(agent.unwrap()),
        edge: Arc::new(edge),
        _ground: Box::new(()),
    }
}

/// The same with the tunnel's own TLS, in whose buffers the mux works.
mod in_place {
    use super::*;

    suite!(pair);

    async fn pair() -> Pair {
        let tls = tls();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let dialling = async {
            let tcp = TcpStream::connect(address).await.unwrap();
            tcp.set_nodelay(true).unwrap();
            let name = ServerName::try_from(NAME).unwrap();
            crate::tls::connect(&tls.client, name, tcp).await.unwrap()
        };
        let accepting = async {
            let (tcp, peer) = listener.accept().await.unwrap();
            tcp.set_nodelay(true).unwrap();
            (
                crate::tls::accept(&tls.server, &[], tcp).await.unwrap(),
                peer,
            )
        };
        let (client, (server, peer)) = tokio::join!(dialling, accepting);
        let (agent, edge) = tokio::join!(connect(client, NAME, address), edge(server, peer));
        Pair {
            agent: Arc::new(agent.unwrap()),
            edge: Arc::new(edge),
            _ground: Box::new(()),
        }
    }
}

/// An edge that takes one tunnel.
async fn edge<I>(io: I, peer: SocketAddr) -> MuxTransport
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sessions, mut taken) = mpsc::channel(1);
    let service = service_fn(move |request: Request<Incoming>| {
        assert!(is_tunnel_request(&request));
        let (response, session) = accept(request, peer);
        let sessions = sessions.clone();
        tokio::spawn(async move { sessions.send(session.await.unwrap()).await });
        async { Ok::<_, Infallible>(response.map(|()| Empty::<Bytes>::new())) }
    });
    let connection = server::Builder::new().serve_connection(TokioIo::new(io), service);
    connection.with_upgrades().await.unwrap();
    taken.recv().await.unwrap()
}

/// What `connect` makes of an edge that answers with these bytes.
async fn answered(answer: &'static [u8]) -> UpgradeError {
    let (here, mut there): (DuplexStream, DuplexStream) = tokio::io::duplex(4096);
    let answering = async {
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(there.read_u8().await.unwrap());
        }
        there.write_all(answer).await.unwrap();
        drop(there);
        String::from_utf8(asked).unwrap()
    };
    let (result, asked) = tokio::join!(connect(here, "edge.example:4443", NOWHERE), answering);
    assert!(
        asked.starts_with("GET /.well-known/tunnel HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(asked.contains("edge.example:4443\r\n"), "{asked}");
    result.expect_err("no tunnel")
}

#[tokio::test]
async fn a_refusal_brings_status_and_message() {
    let error = answered(
        b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 45\r\n\r\n\
          {\"code\":7,\"msg\":\"one at a time\",\"after\":1500}",
    )
    .await;
    let UpgradeError::Refused { status, error } = &error else {
        panic!("{error}")
    };
    assert_eq!(status.as_u16(), 429);
    let error = error.as_ref().unwrap();
    assert_eq!(
        (error.code, error.msg.as_str()),
        (Code::Limit, "one at a time")
    );
}

#[tokio::test]
async fn what_is_not_a_tunnel_is_an_error() {
    let page = answered(b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnope").await;
    assert!(
        matches!(page, UpgradeError::Refused { error: None, .. }),
        "{page}"
    );
    let other =
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let other = answered(other).await;
    assert!(matches!(other, UpgradeError::Protocol), "{other}");
    for broken in [&b"SSH-2.0-x\r\n"[..], b""] {
        let broken = answered(broken).await;
        assert!(matches!(broken, UpgradeError::Http(_)), "{broken}");
    }
    // More than a message, and never an end.
    let endless = answered(b"HTTP/1.1 500 Oh\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx").await;
    assert!(
        matches!(endless, UpgradeError::Refused { error: None, .. }),
        "{endless}"
    );
}

#[test]
fn a_refusal_is_written_as_it_is_read() {
    let response = refuse(&ErrorMessage::new(Code::Version, "too old"));
    assert_eq!(response.status().as_u16(), 426);
    assert_eq!(response.headers()[header::UPGRADE], TOKEN);
    assert_eq!(
        refuse(&ErrorMessage::new(Code::Ok, "")).status().as_u16(),
        500
    );
}

#[test]
fn only_an_upgrade_on_the_path_is_a_tunnel() {
    let request = |method: &str, path: &str, connection: &str, upgrade: &str| {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONNECTION, connection)
            .header(header::UPGRADE, upgrade)
            .body(())
            .unwrap()
    };
    for (method, path, connection, upgrade, is) in [
        ("GET", PATH, "keep-alive, Upgrade", "h2c, ADIT-MUX", true),
        ("GET", PATH, "upgrade", "adit-mux", true),
        ("POST", PATH, "upgrade", "adit-mux", false),
        ("GET", "/", "upgrade", "adit-mux", false),
        ("GET", PATH, "close", "adit-mux", false),
        ("GET", PATH, "upgrade", "websocket", false),
        ("GET", PATH, "upgrade", "adit-mux2", false),
    ] {
        let request = request(method, path, connection, upgrade);
        assert_eq!(is_tunnel_request(&request), is, "{request:?}");
    }
}
