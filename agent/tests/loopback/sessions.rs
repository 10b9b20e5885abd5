//! Sessions against an edge that says what the test wants, over real sockets.

use std::{sync::Arc, time::Duration};

use crate::edge::{Edge, Identity, NAME, Tokens, Udp, agent, bind, echo, now, origin, within};
use agent::{Event, Phase, StaticToken, TokenWhy, TransportChoice, Tunnel, TunnelError, Why};
use token::{Binding, ProofKey, check_proof};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::broadcast,
};
use tunnel::{
    Code, Secret, TransportKind,
    message::{AgentMessage, Drain, EdgeMessage, Visit},
};

/// The next event that `pick` takes.
async fn event<T>(events: &mut broadcast::Receiver<Event>, pick: impl Fn(Event) -> Option<T>) -> T {
    within(async {
        loop {
            if let Some(found) = pick(events.recv().await.expect("the tunnel is over")) {
                return found;
            }
        }
    })
    .await
}

async fn connected(events: &mut broadcast::Receiver<Event>) -> Arc<agent::Connected> {
    event(events, |event| match event {
        Event::Connected(connected) => Some(connected),
        _ => None,
    })
    .await
}

async fn ended(tunnel: &Tunnel) -> TunnelError {
    within(tunnel.ended()).await
}

/// A provider may issue a token before it knows of an edge: at its own start, say.
#[tokio::test]
async fn a_token_that_names_no_edge_is_asked_for_anew() {
    let identity = Identity::new();
    let mut edge = Edge::start(&identity, Udp::Quic).await;
    let tokens = Arc::new(Tokens {
        edge: Some(edge.url()),
        ..Tokens::default()
    });
    let builder = agent(&identity, &edge).locations(Vec::<String>::new());
    let tunnel = builder.tokens(tokens.clone()).build().unwrap().bind(bind());
    let session = within(edge.session()).await;
    assert_eq!(session.hello.token.expose(), "token 2");
    let asked = tokens.asked.lock().unwrap().clone();
    assert_eq!(asked, [TokenWhy::Initial, TokenWhy::Initial]);
    drop(tunnel);
}

#[tokio::test]
async fn a_key_is_proved_in_the_hello_and_when_the_edge_asks() {
    let identity = Identity::new();
    for choice in [
        TransportChoice::Quic,
        TransportChoice::Tcp,
        TransportChoice::WebSocket,
    ] {
        let mut edge = Edge::start(&identity, Udp::Quic).await;
        let key = Arc::new(ProofKey::generate().unwrap());
        let tokens = Arc::new(Tokens {
            key: Some(key.clone()),
            ..Tokens::default()
        });
        let builder = agent(&identity, &edge).transport(choice).tokens(tokens);
        let tunnel = builder.build().unwrap().bind(bind());
        let mut events = tunnel.events();
        let mut session = edge.session().await;
        let holds = |proof: &Secret, binding| {
            check_proof(proof.expose(), &key.thumbprint(), "token 1", binding)
        };
        let exporter = session.transport.exporter();
        if let Some(exporter) = &exporter {
            let proof = session.hello.proof.clone().unwrap();
            assert_eq!(holds(&proof, Binding::Exporter(exporter)), Ok(()));
        }
        let nonce = "n0nce".to_owned();
        session.say(EdgeMessage::Challenge { nonce }).await;
        let Some(AgentMessage::Proof { proof }) = session.hear().await else {
            panic!("no proof")
        };
        let (nonce, edge) = ("n0nce", NAME);
        assert_eq!(holds(&proof, Binding::Nonce { nonce, edge }), Ok(()));
        session.welcome(Duration::from_secs(3600)).await;
        connected(&mut events).await;
    }
}

#[tokio::test]
async fn an_agent_without_the_key_says_so() {
    let identity = Identity::new();
    let mut edge = Edge::start(&identity, Udp::Quic).await;
    let token = Arc::new(StaticToken::new(Secret::from("bound".to_owned())));
    let builder = agent(&identity, &edge).tokens(token);
    let tunnel = builder.build().unwrap().bind(bind());
    let mut session = edge.session().await;
    assert!(session.hello.proof.is_none());
    let nonce = "n0nce".to_owned();
    session.say(EdgeMessage::Challenge { nonce }).await;
    let error = ended(&tunnel).await.to_string();
    assert!(error.contains("bound to a key"), "{error}");
}

#[tokio::test]
async fn hello_and_welcome_over_all_bindings() {
    let identity = Identity::new();
    for (choice, kind) in [
        (TransportChoice::Quic, TransportKind::Quic),
        (TransportChoice::Tcp, TransportKind::Tcp),
        (TransportChoice::WebSocket, TransportKind::WebSocket),
    ] {
        let mut edge = Edge::start(&identity, Udp::Quic).await;
        let builder = agent(&identity, &edge).transport(choice).name("test/1");
        let tunnel = builder.visits(true).build().unwrap().bind(bind());
        let mut events = tunnel.events();
        let mut session = edge.session().await;
        let hello = &session.hello;
        assert_eq!(hello.token.expose(), "token 1");
        assert_eq!((hello.agent.as_str(), hello.visits), ("test/1", true));
        assert_eq!(hello.bind, Some(bind()));
        assert!(hello.resume.is_none());
        session.welcome(Duration::from_secs(3600)).await;

        let connecting = event(&mut events, Some).await;
        assert!(matches!(connecting, Event::Connecting { transport, .. } if transport == kind));
        let found = connected(&mut events).await;
        assert_eq!((found.transport, found.why), (kind, Why::Chosen));
        assert_eq!(found.urls().collect::<Vec<_>>(), ["https://a.example"]);
        assert!(matches!(tunnel.status().borrow().phase, Phase::Online(_)));

        let visit = Visit {
            id: 1,
            method: "GET".into(),
            path: "/".into(),
            status: 200,
            ms: 3,
            up: 0,
            down: 9,
        };
        session.say(EdgeMessage::Visit(visit.clone())).await;
        session.say(EdgeMessage::Ping { n: 7 }).await;
        assert_eq!(session.hear().await, Some(AgentMessage::Pong { n: 7 }));
        let seen = event(&mut events, |event| match event {
            Event::Visit(visit) => Some(visit),
            _ => None,
        });
        assert_eq!(seen.await, visit);
    }
}

#[tokio::test]
async fn an_application_accepts_streams_itself() {
    let identity = Identity::new();
    let mut edge = Edge::start(&identity, Udp::Quic).await;
    let tunnel = agent(&identity, &edge).build().unwrap().bind(Vec::new());
    let session = edge.session().await;
    assert_eq!(session.hello.bind, None, "all that the token grants");
    let mut session = session;
    session.welcome(Duration::from_secs(3600)).await;

    let application = async {
        let incoming = within(tunnel.accept()).await.unwrap();
        assert_eq!(incoming.head().source.to_string(), "192.0.2.7:1234");
        assert_eq!(incoming.bind(), 1);
        let mut stream = incoming.accept().await.unwrap();
        assert_eq!(tunnel.status().borrow().streams_refused, 0);
        let mut question = String::new();
        stream.read_to_string(&mut question).await.unwrap();
        stream
            .write_all(question.to_uppercase().as_bytes())
            .await
            .unwrap();
        stream.shutdown().await.unwrap();

        let incoming = within(tunnel.accept()).await.unwrap();
        incoming.refuse(Code::OriginRefused).await;
    };
    let visitor = async {
        let (status, mut stream) = session.visit(b"hello").await;
        assert_eq!(status, 0);
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "HELLO");

        let (status, mut stream) = session.visit(b"").await;
        assert_eq!(status, u8::from(Code::OriginRefused));
        assert_eq!(
            stream.read(&mut [0; 8]).await.unwrap(),
            0,
            "ended, not aborted"
        );
    };
    tokio::join!(application, visitor);
}

#[tokio::test]
async fn blocked_udp_falls_to_tcp() {
    let identity = Identity::new();
    let mut edge = Edge::start(&identity, Udp::Silent).await;
    let tunnel = agent(&identity, &edge).build().unwrap().bind(bind());
    let mut events = tunnel.events();
    let _session = edge.welcomed().await;
    let found = connected(&mut events).await;
    assert_eq!(
        (found.transport, found.why),
        (TransportKind::Tcp, Why::UdpBlocked)
    );
}

#[tokio::test]
async fn quic_is_taken_again_and_the_old_session_finishes() {
    let identity = Identity::new();
    let mut edge = Edge::start(&identity, Udp::Silent).await;
    let builder = agent(&identity, &edge).quic_retry_every(Duration::from_millis(200));
    let tunnel = builder.build().unwrap().bind(bind());
    let mut events = tunnel.events();
    let mut old = edge.welcomed().await;
    let first = connected(&mut events).await;
    assert_eq!(first.transport, TransportKind::Tcp);
    let (visit, accepted) = tokio::join!(old.visit(b""), async {
        tunnel.accept().await.unwrap().accept().await.unwrap()
    });
    let (mut stream, mut accepted) = (visit.1, accepted);

    edge.open_udp(&identity).await;
    let mut new = edge.session().await;
    assert_eq!(new.transport.kind(), TransportKind::Quic);
    assert!(new.hello.resume.is_some());
    new.welcome(Duration::from_secs(3600)).await;
    // What an edge may well say to the session that was replaced.
    old.refuse(Code::Replaced).await;
    let second = event(&mut events, |event| match event {
        Event::Migrated(connected) => Some(connected),
        _ => None,
    })
    .await;
    assert_eq!(
        (second.transport, second.why),
        (TransportKind::Quic, Why::UdpBack)
    );
    accepted.write_all(b"unharmed").await.unwrap();
    let mut got = [0; 8];
    within(stream.read_exact(&mut got)).await.unwrap();
    let (visit, accepted) = tokio::join!(new.visit(b""), async {
        tunnel.accept().await.unwrap().accept().await
    });
    assert!(visit.0 == 0 && accepted.is_ok());
}

#[tokio::test]
async fn a_restarted_edge_and_a_restarted_agent_are_resumed() {
    let identity = Identity::new();
    let state = tempfile::tempdir().unwrap();
    let mut edge = Edge::start(&identity, Udp::Quic).await;
    let builder = agent(&identity, &edge).state_dir(Some(state.path().into()));
    let agent_one = builder.transport(TransportChoice::Tcp).build().unwrap();
    let tunnel = agent_one.bind(bind());
    let mut events = tunnel.events();
    let first = edge.welcomed().await;
    connected(&mut events).await;

    let address = edge.address;
    drop(first);
    edge.kill().await;
    let code = event(&mut events, |event| match event {
        Event::Disconnected { code, .. } => Some(code),
        _ => None,
    });
    assert_eq!(code.await, None);
    let mut edge = Edge::start_at(&identity, Udp::Quic, address).await;
    let mut session = edge.session().await;
    let secret = session
        .hello
        .resume
        .clone()
        .expect("the secret of the first session");
    assert!(secret.expose().starts_with("resume "));
    session.welcome(Duration::from_secs(3600)).await;
    connected(&mut events).await;

    // A second process that shares the same does not get the secret.
    let other = agent_one.bind(bind());
    assert!(edge.session().await.hello.resume.is_none());
    drop(other);
    // Killed, not closed: the next one takes over from the file.
    drop((tunnel, session));
    let again = agent_one.bind(bind());
    let mut session = edge.session().await;
    let newer = session
        .hello
        .resume
        .clone()
        .expect("the secret of the second session");
    assert_ne!(newer, secret);

    session.welcome(Duration::from_secs(3600)).await;
    connected(&mut again.events()).await;
    again.close().await;
    let _last = agent_one.bind(bind());
    assert!(
        edge.session().await.hello.resume.is_none(),
        "closed on purpose"
    );
}

#[tokio::test]
async fn fatal_codes_end_the_tunnel() {
    let identity = Identity::new();
    let mut edge = Edge::start(&identity, Udp::Quic).await;
    for code in [Code::Forbidden, Code::Replaced, Code::Revoked] {
        let tunnel = agent(&identity, &edge).build().unwrap().bind(bind());
        let mut session = edge.session().await;
        session.refuse(code).await;
        let end = ended(&tunnel).await;
        assert!(
            matches!(end, TunnelError::Refused { code: c, .. } if c == code),
            "{end}"
        );
    }

    // In the middle of a session, by a line or by the close of the connection.
    let tunnel = agent(&identity, &edge).build().unwrap().bind(bind());
    let mut session = edge.welcomed().await;
    session.refuse(Code::Revoked).await;
    let end = ended(&tunnel).await;
    assert!(
        matches!(
            end,
            TunnelError::Refused {
                code: Code::Revoked,
                ..
            }
        ),
        "{end}"
    );
    for choice in [
        TransportChoice::Quic,
        TransportChoice::Tcp,
        TransportChoice::WebSocket,
    ] {
        let builder = agent(&identity, &edge).transport(choice);
        let tunnel = builder.build().unwrap().bind(bind());
        let session = edge.welcomed().await;
        session.transport.close(Code::Revoked, "gone");
        let end = ended(&tunnel).await;
        assert!(
            matches!(
                end,
                TunnelError::Refused {
                    code: Code::Revoked,
                    ..
                }
            ),
            "{end}"
        );
        assert!(tunnel.accept().await.is_err());
    }

    let fixed = StaticToken::new(Secret::from("the only one".to_owned()));
    let builder = agent(&identity, &edge).tokens(Arc::new(fixed));
    let tunnel = builder.build().unwrap().bind(bind());
    let mut session = edge.session().await;
    session.refuse(Code::Auth).await;
    let end = ended(&tunnel).await;
    assert!(
        matches!(
            end,
            TunnelError::Refused {
                code: Code::Auth,
                ..
            }
        ),
        "{end}"
    );
}

#[tokio::test]
async fn other_codes_are_tried_again_and_a_refused_token_is_replaced() {
    let identity = Identity::new();
    let mut edge = Edge::start(&identity, Udp::Quic).await;
    let tokens = Arc::new(Tokens::default());
    let builder = agent(&identity, &edge).tokens(Arc::clone(&tokens) as _);
    let tunnel = builder.build().unwrap().bind(bind());
    let mut events = tunnel.events();
    for (code, token) in [
        (Code::Conflict, "token 1"),
        (Code::Expired, "token 1"),
        (Code::Internal, "token 2"),
    ] {
        let mut session = edge.session().await;
        assert_eq!(session.hello.token.expose(), token);
        session.refuse(code).await;
        let told = event(&mut events, |event| match event {
            Event::Disconnected { code, .. } => code,
            _ => None,
        });
        assert_eq!(told.await, code);
    }
    let _session = edge.welcomed().await;
    connected(&mut events).await;
    let asked = tokens.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        [
            TokenWhy::Initial,
            TokenWhy::AfterExpiry,
            TokenWhy::AfterExpiry
        ]
    );
}

#[tokio::test]
async fn the_token_is_renewed_within_the_session() {
    let identity = Identity::new();
    let mut edge = Edge::start(&identity, Udp::Quic).await;
    let tunnel = agent(&identity, &edge).build().unwrap().bind(bind());
    let mut events = tunnel.events();
    let mut session = edge.session().await;
    session.welcome(Duration::from_secs(1)).await;
    let token = Secret::from("token 2".to_owned());
    assert_eq!(session.hear().await, Some(AgentMessage::Token { token }));
    session.welcome(Duration::from_secs(3600)).await;
    let later = event(&mut events, |event| match event {
        Event::Refreshed(connected) => Some(connected.session_expires),
        _ => None,
    });
    assert!(later.await > now().plus(Duration::from_secs(3000)));
}

#[tokio::test]
async fn a_draining_edge_is_left_without_harm_to_its_visitors() {
    let identity = Identity::new();
    let mut old_edge = Edge::start(&identity, Udp::Quic).await;
    let mut new_edge = Edge::start(&identity, Udp::Quic).await;
    let tunnel = agent(&identity, &old_edge).build().unwrap().bind(bind());
    let mut events = tunnel.events();
    let origin = origin(|_, stream| echo(stream)).await;
    let target: agent::Target = origin.to_string().parse().unwrap();
    let options = agent::OriginOptions::default();
    let forwarding = agent::forward(&tunnel, &target, &options);
    let course = async {
        let mut old = old_edge.welcomed().await;
        let (_, mut stream) = old.visit(b"begun").await;
        old.say(EdgeMessage::Drain(Drain {
            after: Duration::from_millis(10),
            deadline: Duration::from_secs(60),
            edges: vec![new_edge.url()],
        }))
        .await;
        let mut new = new_edge.session().await;
        assert!(new.hello.resume.is_some());
        new.welcome(Duration::from_secs(3600)).await;
        event(&mut events, |event| {
            matches!(event, Event::Migrated(_)).then_some(())
        })
        .await;
        assert_eq!(old.hear().await, Some(AgentMessage::Drained));
        stream.write_all(b" and finished").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut all = String::new();
        within(stream.read_to_string(&mut all)).await.unwrap();
        assert_eq!(all, "begun and finished");
        within(old.transport.closed()).await;
        assert_eq!(new.visit(b"x").await.0, 0);
    };
    tokio::select! {
        result = forwarding => panic!("{result:?}"),
        () = within(course) => {}
    }
}

#[tokio::test]
async fn a_closed_tunnel_lets_its_streams_finish() {
    let identity = Identity::new();
    let mut edge = Edge::start(&identity, Udp::Quic).await;
    let tunnel = agent(&identity, &edge).build().unwrap().bind(bind());
    let mut session = edge.welcomed().await;
    let (mut stream, mut accepted) = {
        let visit = session.visit(b"");
        let accept = async { tunnel.accept().await.unwrap().accept().await.unwrap() };
        let ((_, stream), accepted) = tokio::join!(visit, accept);
        (stream, accepted)
    };
    let edge_side = async {
        assert_eq!(session.hear().await, Some(AgentMessage::Drain));
        // The ping behind it is answered within `hear`, which then sees the end.
        let finishing = async {
            accepted.write_all(b"the rest").await.unwrap();
            accepted.shutdown().await.unwrap();
            drop(accepted);
            stream.shutdown().await.unwrap();
            let mut rest = String::new();
            within(stream.read_to_string(&mut rest)).await.unwrap();
            assert_eq!(rest, "the rest");
        };
        let (end, ()) = tokio::join!(session.hear(), finishing);
        assert_eq!(end, None);
    };
    tokio::join!(within(tunnel.close()), edge_side);
    assert!(matches!(tunnel.accept().await, Err(TunnelError::Closed)));
}
