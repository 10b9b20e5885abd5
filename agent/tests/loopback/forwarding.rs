//! Streams to origins of every kind, over both bindings.

use std::{path::Path, sync::Arc};

use crate::edge::{Edge, Identity, Session, Udp, agent, bind, echo, origin, within};
use agent::{Event, OriginOptions, OriginTls, Target, TransportChoice, Tunnel, forward};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tunnel::{Code, Stream, StreamReset};

const ALL: [TransportChoice; 3] = [
    TransportChoice::Quic,
    TransportChoice::Tcp,
    TransportChoice::WebSocket,
];

struct Shared {
    session: Session,
    tunnel: Arc<Tunnel>,
    _edge: Edge,
}

/// Shares `target` through an edge of this test.
async fn share(target: Target, options: OriginOptions, choice: TransportChoice) -> Shared {
    let identity = Identity::new();
    let mut edge = Edge::start(&identity, Udp::Quic).await;
    let builder = agent(&identity, &edge).transport(choice);
    let tunnel = Arc::new(builder.build().unwrap().bind(bind()));
    let session = edge.welcomed().await;
    let forwarded = Arc::clone(&tunnel);
    tokio::spawn(async move { forward(&forwarded, &target, &options).await });
    Shared {
        session,
        tunnel,
        _edge: edge,
    }
}

async fn share_plain(target: impl ToString, choice: TransportChoice) -> Shared {
    let target = target.to_string().parse().unwrap();
    share(target, OriginOptions::default(), choice).await
}

async fn rest(stream: &mut Stream) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    within(stream.read_to_end(&mut all)).await.map(|_| all)
}

#[tokio::test]
async fn an_end_is_passed_on_and_the_answer_still_comes() {
    for choice in ALL {
        let target = origin(|_, stream| echo(stream)).await;
        let shared = share_plain(target, choice).await;
        let (status, mut stream) = shared.session.visit(b"first, ").await;
        assert_eq!(status, 0);
        stream.write_all(b"second").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(rest(&mut stream).await.unwrap(), b"first, second");

        // The origin ends first.
        let target = origin(|_, mut stream| async move {
            stream.write_all(b"220 ready").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut got = String::new();
            stream.read_to_string(&mut got).await.unwrap();
            assert_eq!(got, "QUIT");
        })
        .await;
        let shared = share_plain(target, choice).await;
        let (_, mut stream) = shared.session.visit(b"").await;
        assert_eq!(rest(&mut stream).await.unwrap(), b"220 ready");
        stream.write_all(b"QUIT").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut status = shared.tunnel.status();
        within(status.wait_for(|s| s.streams == 0 && s.received == 4 && s.sent == 9))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn aborts_are_passed_on_as_aborts() {
    for choice in ALL {
        let target = origin(|_, mut stream| async move {
            stream.write_all(b"half of a bo").await.unwrap();
            stream.set_zero_linger().unwrap();
        })
        .await;
        let shared = share_plain(target, choice).await;
        let (_, mut stream) = shared.session.visit(b"").await;
        let error = rest(&mut stream).await.unwrap_err();
        assert_eq!(
            StreamReset::of(&error),
            Some(StreamReset {
                code: Code::Aborted
            })
        );

        let (seen, mut seeing) = tokio::sync::mpsc::channel(1);
        let target = origin(move |_, mut stream| {
            let seen = seen.clone();
            async move {
                let mut got = Vec::new();
                let result = stream.read_to_end(&mut got).await;
                seen.send(result.map_err(|e| e.kind())).await.unwrap();
            }
        })
        .await;
        let shared = share_plain(target, choice).await;
        let (_, mut stream) = shared.session.visit(b"half of an upl").await;
        stream.reset(Code::Aborted);
        let result = within(seeing.recv()).await.unwrap();
        assert_eq!(result, Err(std::io::ErrorKind::ConnectionReset));
    }
}

#[tokio::test]
async fn a_refusing_origin_gives_its_status() {
    for choice in ALL {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = gone.local_addr().unwrap();
        drop(gone);
        let shared = share_plain(address, choice).await;
        let (status, mut stream) = shared.session.visit(b"GET / HTTP/1.1\r\n\r\n").await;
        assert_eq!(status, u8::from(Code::OriginRefused));
        assert_eq!(rest(&mut stream).await.unwrap(), b"");
    }
    let shared = share_plain("unix:/nowhere.sock", TransportChoice::Quic).await;
    assert_eq!(
        shared.session.visit(b"").await.0,
        u8::from(Code::OriginRefused)
    );
}

#[tokio::test]
async fn origins_that_never_answer_stall_no_one() {
    for choice in ALL {
        let target = origin(|n, stream| async move {
            match n {
                0..300 => std::future::pending().await,
                _ => echo(stream).await,
            }
        })
        .await;
        let shared = share_plain(target, choice).await;
        let mut silent = Vec::new();
        for _ in 0..300 {
            let (status, stream) = shared.session.visit(b"anyone?").await;
            assert_eq!(status, 0);
            silent.push(stream);
        }
        let (_, mut stream) = shared.session.visit(b"hello").await;
        stream.shutdown().await.unwrap();
        assert_eq!(rest(&mut stream).await.unwrap(), b"hello");

        // The session's own limit is 400.
        for _ in silent.len()..400 {
            silent.push(shared.session.visit(b"").await.1);
        }
        let mut over = shared.session.transport.open().await.unwrap();
        over.write_all(b"x").await.unwrap();
        over.flush().await.unwrap();
        let error = rest(&mut over).await.unwrap_err();
        assert_eq!(
            StreamReset::of(&error),
            Some(StreamReset {
                code: Code::StreamLimit
            })
        );
        let mut status = shared.tunnel.status();
        within(status.wait_for(|s| s.streams == 400 && s.streams_refused == 1))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn large_bodies_go_through_whole() {
    for choice in ALL {
        let target = origin(|_, stream| echo(stream)).await;
        let shared = share_plain(target, choice).await;
        let (_, stream) = shared.session.visit(b"").await;
        let (mut read, mut write) = tokio::io::split(stream);
        let sent: Vec<u8> = (0..8_000_000u32).map(|i| (i % 251) as u8).collect();
        let sending = async {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let receiving = async {
            within(read.read_to_end(&mut got)).await.unwrap();
        };
        tokio::join!(sending, receiving);
        assert!(got == sent);
    }
}

async fn get(session: &Session, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
    let (status, mut stream) = session.visit(request.as_bytes()).await;
    assert_eq!(status, 0);
    String::from_utf8(rest(&mut stream).await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_directory_and_the_welcome_page_are_served() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.txt"), "the text").unwrap();
    std::fs::write(dir.path().join(".env"), "secret").unwrap();
    let shared = share_plain(dir.path().display(), TransportChoice::Quic).await;
    assert!(
        get(&shared.session, "/a.txt")
            .await
            .ends_with("\r\n\r\nthe text")
    );
    assert!(
        get(&shared.session, "/.env")
            .await
            .starts_with("HTTP/1.1 404")
    );
    assert!(get(&shared.session, "/").await.contains("./a.txt"));

    let shared = share(
        Target::welcome(),
        OriginOptions::default(),
        TransportChoice::Quic,
    )
    .await;
    assert!(get(&shared.session, "/any").await.contains("It works"));
}

#[tokio::test]
async fn a_unix_socket_is_an_origin() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        stream.write_all(&got).await.unwrap();
    });
    let shared = share_plain(path.display(), TransportChoice::Quic).await;
    let (_, mut stream) = shared.session.visit(b"over a socket").await;
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await.unwrap(), b"over a socket");
}

/// A TLS origin for `localhost` with a certificate of its own; the certificate is written to `path`.
async fn tls_origin(path: &Path) -> u16 {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let address = origin(move |_, tcp| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut tls) = acceptor.accept(tcp).await else {
                return;
            };
            let mut got = [0; 5];
            if tls.read_exact(&mut got).await.is_ok() {
                tls.write_all(&got).await.unwrap();
                // `cut!!` ends without close_notify, as a cut wire does.
                if &got != b"cut!!" {
                    tls.shutdown().await.unwrap();
                }
            }
        }
    });
    address.await.port()
}

#[tokio::test]
async fn a_tls_origin_is_believed_only_as_told() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("origin.pem");
    let port = tls_origin(&file).await;
    let target: Target = format!("https://localhost:{port}").parse().unwrap();
    let trusting = |tls| OriginOptions {
        tls: Some(tls),
        ..OriginOptions::default()
    };
    let known = OriginTls::from_file(&file).unwrap();
    for tls in [known.clone(), OriginTls::Anything] {
        let shared = share(target.clone(), trusting(tls), TransportChoice::Quic).await;
        let (_, mut stream) = shared.session.visit(b"hello").await;
        assert_eq!(rest(&mut stream).await.unwrap(), b"hello");
        let (_, mut stream) = shared.session.visit(b"cut!!").await;
        assert!(rest(&mut stream).await.is_err(), "a cut is no end");
    }
    let strange = OriginTls::Roots(Arc::new(Identity::new().roots()));
    let shared = share(target.clone(), trusting(strange), TransportChoice::Quic).await;
    assert_eq!(
        shared.session.visit(b"").await.0,
        u8::from(Code::OriginRefused)
    );

    let found = agent::probe(&target.origin, &known).await.unwrap();
    assert_eq!(found, tunnel::message::OriginProtocol::H1, "it speaks both");
}

#[tokio::test]
async fn a_refused_host_name_gives_one_hint() {
    let target = origin(|_, mut stream| async move {
        let _ = stream.read(&mut [0; 64]).await;
        let answer = b"HTTP/1.1 403 Forbidden\r\n\r\nBlocked request. This host (\"a.example\") is not allowed.";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let options = OriginOptions {
        hints: true,
        ..OriginOptions::default()
    };
    let target = target.to_string().parse().unwrap();
    let shared = share(target, options, TransportChoice::Quic).await;
    let mut events = shared.tunnel.events();
    for _ in 0..2 {
        let (_, mut stream) = shared.session.visit(b"GET / HTTP/1.1\r\n\r\n").await;
        let _ = rest(&mut stream).await;
    }
    shared.tunnel.close().await;
    let mut hints = Vec::new();
    while let Ok(event) = events.recv().await {
        match event {
            Event::Hint { hint, .. } => hints.push(hint),
            Event::Ended(_) => break,
            _ => {}
        }
    }
    assert_eq!(hints, [agent::Hint::Vite]);
}
