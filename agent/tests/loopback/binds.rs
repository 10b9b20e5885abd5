//! Binds that come and go while their session lives.

use std::{sync::Arc, time::Duration};

use agent::{Event, Origins, StaticToken, Tunnel};
use model::Kind;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::broadcast,
};
use tunnel::{
    Code, Secret,
    message::{AgentMessage, Bind, Bound, EdgeMessage, ErrorMessage},
};

use crate::edge::{Edge, Identity, Session, Udp, agent, echo, origin, within};

fn bind(id: u32, name: &str) -> Bind {
    Bind {
        id,
        host: Some(name.parse().unwrap()),
        port: None,
        kind: Kind::Http,
        proto: None,
        host_header: None,
    }
}

fn bound(bind: &Bind) -> EdgeMessage {
    EdgeMessage::Bound(Bound {
        id: bind.id,
        kind: bind.kind,
        url: None,
        host: bind.host.clone(),
        port: None,
    })
}

/// The next event that is not about the connection.
async fn of_binds(events: &mut broadcast::Receiver<Event>) -> Event {
    within(async {
        loop {
            match events.recv().await.unwrap() {
                Event::Connecting { .. } | Event::Connected(_) => {}
                event => return event,
            }
        }
    })
    .await
}

async fn started(token: Option<&str>) -> (Edge, Session, Tunnel) {
    let identity = Identity::new();
    let mut edge = Edge::start(&identity, Udp::Quic).await;
    let mut builder = agent(&identity, &edge);
    if let Some(token) = token {
        builder = builder.tokens(Arc::new(StaticToken::new(Secret::from(token.to_owned()))));
    }
    let first = vec![bind(1, "a.example"), bind(2, "b.example")];
    let tunnel = builder.build().unwrap().bind(first);
    let session = edge.welcomed().await;
    (edge, session, tunnel)
}

#[tokio::test]
async fn a_new_bind_comes_behind_a_fresh_token_and_the_rest_is_not_touched() {
    let (_edge, mut session, tunnel) = started(None).await;
    let mut events = tunnel.events();
    let new = bind(3, "c.example");
    tunnel.want(vec![bind(1, "a.example"), new.clone()]);
    let token = Secret::from("token 2".to_owned());
    assert_eq!(session.hear().await, Some(AgentMessage::Token { token }));
    // Given back first: the new one may be for the same name.
    assert_eq!(session.hear().await, Some(AgentMessage::Unbind { id: 2 }));
    assert_eq!(session.hear().await, Some(AgentMessage::Bind(new.clone())));
    session.say(EdgeMessage::Unbound { id: 2 }).await;
    session.say(bound(&new)).await;
    assert!(matches!(
        of_binds(&mut events).await,
        Event::Unbound { id: 2 }
    ));
    assert!(matches!(of_binds(&mut events).await, Event::Bound(bound) if bound.id == 3));

    // Fewer binds need no token; the same ones need nothing at all.
    tunnel.want(vec![bind(1, "a.example"), new.clone()]);
    tunnel.want(vec![new]);
    assert_eq!(session.hear().await, Some(AgentMessage::Unbind { id: 1 }));
}

#[tokio::test]
async fn the_last_bind_can_be_replaced() {
    let (_edge, mut session, tunnel) = started(Some("fixed")).await;
    let mut events = tunnel.events();
    tunnel.want(vec![bind(7, "a.example")]);
    // There is no other token to be had, so the bind is asked for with the one that there is.
    for id in [1, 2] {
        assert_eq!(session.hear().await, Some(AgentMessage::Unbind { id }));
    }
    let new = bind(7, "a.example");
    assert_eq!(session.hear().await, Some(AgentMessage::Bind(new.clone())));
    session.say(EdgeMessage::Unbound { id: 1 }).await;
    session.say(EdgeMessage::Unbound { id: 2 }).await;
    session.say(bound(&new)).await;
    for _ in 0..2 {
        assert!(matches!(of_binds(&mut events).await, Event::Unbound { .. }));
    }
    assert!(matches!(of_binds(&mut events).await, Event::Bound(bound) if bound.id == 7));
}

#[tokio::test]
async fn a_refused_bind_is_told_and_not_asked_for_again() {
    let (_edge, mut session, tunnel) = started(Some("fixed")).await;
    let mut events = tunnel.events();
    let two = [bind(1, "a.example"), bind(2, "b.example")];
    let with = |more: &Bind| [two.as_slice(), std::slice::from_ref(more)].concat();
    tunnel.want(with(&bind(3, "taken.example")));
    assert!(matches!(session.hear().await, Some(AgentMessage::Bind(bind)) if bind.id == 3));
    let refusal = ErrorMessage::new(Code::Conflict, "in other hands").about(3);
    session.say(EdgeMessage::Error(refusal)).await;
    let lost = of_binds(&mut events).await;
    assert!(matches!(
        lost,
        Event::BindLost {
            id: 3,
            code: Code::Conflict,
            ..
        }
    ));

    tunnel.want(with(&bind(4, "taken.example")));
    assert!(matches!(session.hear().await, Some(AgentMessage::Bind(bind)) if bind.id == 4));
}

#[tokio::test]
async fn what_is_wanted_later_is_in_the_hello_of_the_next_session() {
    let (mut edge, session, tunnel) = started(Some("fixed")).await;
    let wanted = vec![bind(2, "b.example"), bind(5, "c.example")];
    tunnel.want(wanted.clone());
    session.transport.close(Code::Internal, "the test says so");
    let mut next = edge.session().await;
    assert_eq!(next.hello.bind, Some(wanted));
    next.welcome(Duration::from_secs(3600)).await;
}

#[tokio::test]
async fn a_token_that_was_asked_for_before_is_not_shown_for_a_new_bind() {
    let identity = Identity::new();
    let mut edge = Edge::start(&identity, Udp::Quic).await;
    let tunnel = agent(&identity, &edge).build().unwrap();
    let tunnel = tunnel.bind(vec![bind(1, "taken.example")]);
    let mut first = edge.session().await;
    assert_eq!(first.hello.token.expose(), "token 1");
    tunnel.want(vec![bind(1, "taken.example"), bind(2, "b.example")]);
    first.refuse(Code::Conflict).await;
    let next = edge.session().await;
    assert_eq!(next.hello.token.expose(), "token 2");
    assert_eq!(next.hello.bind.map(|binds| binds.len()), Some(2));
}

#[tokio::test]
async fn each_stream_goes_to_the_origin_of_its_bind() {
    let (_edge, session, tunnel) = started(None).await;
    let first = origin(|_, stream| echo(stream)).await;
    let second = origin(|_, mut stream| async move {
        let _ = stream.write_all(b"second").await;
    })
    .await;
    let origins = Origins::default();
    let set = |to: std::net::SocketAddr| {
        let target = to.to_string().parse().unwrap();
        origins
            .set(1, &target, &agent::OriginOptions::default())
            .unwrap();
    };
    set(first);
    let visits = async {
        let (status, mut old) = session.visit(b"hello").await;
        assert_eq!(status, 0);
        set(second);
        let (_, mut new) = session.visit(b"").await;
        let mut answer = String::new();
        within(new.read_to_string(&mut answer)).await.unwrap();
        assert_eq!(answer, "second");
        // A stream stays with the origin that it began with.
        old.shutdown().await.unwrap();
        let mut answer = String::new();
        within(old.read_to_string(&mut answer)).await.unwrap();
        assert_eq!(answer, "hello");
        origins.retain(|bind| bind != 1);
        let (status, _) = session.visit(b"").await;
        assert_eq!(status, u8::from(Code::OriginRefused));
    };
    tokio::select! {
        ended = agent::forward_each(&tunnel, &origins) => panic!("{ended:?}"),
        () = visits => {}
    }
}
