//! Opening, holding and leaving sessions, over both bindings.

use model::{Kind, Sharing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tunnel::{
    Code, ControlReader, ControlWriter,
    message::{AgentMessage, Bind, EdgeMessage},
};

use super::{
    agent::{ALL, Agent, connect},
    bed::{Bed, hello, within},
};

fn bind(id: u32, host: &str) -> Bind {
    Bind {
        id,
        host: Some(host.parse().unwrap()),
        port: None,
        kind: Kind::Http,
        proto: None,
        host_header: None,
    }
}

#[tokio::test]
async fn the_token_alone_is_the_tunnel() {
    for kind in ALL {
        let bed = Bed::start().await;
        let host = bed
            .claim("a.localhost", Kind::Http, Sharing::Exclusive)
            .await;
        let port = bed.claim_port().await;
        let agent = Agent::join(&bed, kind, bed.hello(&[&host, &port]).await)
            .await
            .unwrap();
        let welcome = &agent.welcome;
        let urls: Vec<_> = welcome
            .bound
            .iter()
            .filter_map(|bound| bound.url.clone())
            .collect();
        let tls = bed.tls().port();
        assert_eq!(
            urls,
            [
                format!("https://a.localhost:{tls}"),
                format!("tcp://edge.localhost:{}", bed.port)
            ]
        );
        assert_eq!((welcome.edge.as_str(), welcome.v), ("edge1", 1));
        assert!(
            welcome
                .resume
                .as_ref()
                .is_some_and(|secret| secret.expose().len() >= 22)
        );
        let placed = bed.placements(|all| all.len() == 1).await.remove(0);
        assert_eq!(
            (placed.session, placed.transport),
            (welcome.session.clone(), kind.to_string())
        );
        let mut claims = vec![host.claim, port.claim];
        claims.sort();
        assert_eq!(placed.endpoints, claims);
        agent.transport.close(Code::Ok, "");
        bed.placements(<[_]>::is_empty).await;
    }
}

#[tokio::test]
async fn a_refusal_is_told_on_the_control_stream_and_by_the_close() {
    for kind in ALL {
        let bed = Bed::start().await;
        let host = bed
            .claim("a.localhost", Kind::Http, Sharing::Exclusive)
            .await;
        let mut claims = bed.claims(&[&host]).await;
        claims.audience = "https://elsewhere.example".into();
        let refused = Agent::join(&bed, kind, hello(bed.sign(&claims))).await;
        assert_eq!(refused.err().unwrap().code, Code::Auth, "{kind}");
        let mut second = bed.hello(&[&host]).await;
        second.v = vec![9];
        let refused = Agent::join(&bed, kind, second).await;
        assert_eq!(refused.err().unwrap().code, Code::Version, "{kind}");
        let other = bed.hello(&[&host]).await;
        let other = tunnel::message::Hello {
            bind: Some(vec![bind(1, "b.localhost")]),
            ..other
        };
        let refused = Agent::join(&bed, kind, other).await;
        assert_eq!(refused.err().unwrap().code, Code::Forbidden, "{kind}");
    }
}

#[tokio::test]
async fn what_is_no_hello_is_a_protocol_error() {
    for kind in ALL {
        let bed = Bed::start().await;
        for line in [
            &b"{\"t\":\"drain\"}\n"[..],
            b"GET / HTTP/1.1\r\n\r\n",
            &[b'x'; 20_000],
        ] {
            let connected = connect(&bed, kind).await;
            let (read, mut write) = tokio::io::split(connected.transport.open().await.unwrap());
            // The edge may close before it has read all of it.
            let _ = write.write_all(line).await;
            let answer = within(ControlReader::new(read).next()).await;
            match answer {
                Ok(Some(EdgeMessage::Error(error))) => assert_eq!(error.code, Code::Protocol),
                other => panic!("{kind}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_exclusive_endpoint_is_held_by_one_session() {
    for kind in ALL {
        let bed = Bed::start().await;
        let host = bed
            .claim("a.localhost", Kind::Http, Sharing::Exclusive)
            .await;
        let first = Agent::join(&bed, kind, bed.hello(&[&host]).await)
            .await
            .unwrap();
        let error = Agent::join(&bed, kind, bed.hello(&[&host]).await)
            .await
            .err()
            .unwrap();
        assert_eq!((error.code, error.retry), (Code::Conflict, true), "{kind}");
        first.transport.close(Code::Ok, "");
        bed.placements(<[_]>::is_empty).await;
        Agent::join(&bed, kind, bed.hello(&[&host]).await)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn replicas_share_the_visitors() {
    let bed = Bed::start().await;
    let name = format!("port:{}", bed.port);
    let port = bed.claim(&name, Kind::Tcp, Sharing::Replicas).await;
    let one = Agent::join(&bed, ALL[0], bed.hello(&[&port]).await)
        .await
        .unwrap();
    let two = Agent::join(&bed, ALL[1], bed.hello(&[&port]).await)
        .await
        .unwrap();
    let visitors = [bed.visit_port().await, bed.visit_port().await];
    let streams = (one.accept().await, two.accept().await);
    drop((visitors, streams));
}

#[tokio::test]
async fn the_resume_secret_takes_the_place_of_its_session_only() {
    for kind in ALL {
        let bed = Bed::start().await;
        let host = bed
            .claim("a.localhost", Kind::Http, Sharing::Exclusive)
            .await;
        let old = Agent::join(&bed, kind, bed.hello(&[&host]).await)
            .await
            .unwrap();

        let mut wrong = bed.hello(&[&host]).await;
        wrong.resume = Some("AAAAAAAAAAAAAAAAAAAAAA".to_owned().into());
        let error = Agent::join(&bed, kind, wrong).await.err().unwrap();
        assert_eq!(error.code, Code::Conflict, "a guess");

        let mut claims = bed.claims(&[&host]).await;
        claims.subject = "agt_2".parse().unwrap();
        let mut stolen = hello(bed.sign(&claims));
        stolen.resume = old.welcome.resume.clone();
        let error = Agent::join(&bed, kind, stolen).await.err().unwrap();
        assert_eq!(error.code, Code::Conflict, "another subject");

        let mut right = bed.hello(&[&host]).await;
        right.resume = old.welcome.resume.clone();
        let new = Agent::join(&bed, kind, right).await.unwrap();
        assert_eq!(old.ended().await, Code::Replaced, "{kind}");
        assert_ne!(new.welcome.resume, old.welcome.resume);
        let session = new.welcome.session.clone();
        bed.placements(|all| all.len() == 1 && all[0].session == session)
            .await;
    }
}

#[tokio::test]
async fn streams_of_a_replaced_session_finish() {
    let bed = Bed::start().await;
    let port = bed.claim_port().await;
    let old = Agent::join(&bed, ALL[1], bed.hello(&[&port]).await)
        .await
        .unwrap();
    let mut visitor = bed.visit_port().await;
    let (_, mut stream) = old.accept().await;
    let mut again = bed.hello(&[&port]).await;
    again.resume = old.welcome.resume.clone();
    let new = Agent::join(&bed, ALL[0], again).await.unwrap();
    let next = bed.visit_port().await;
    drop((new.accept().await, next));
    stream.write_all(b"still here").await.unwrap();
    stream.shutdown().await.unwrap();
    visitor.shutdown().await.unwrap();
    let mut all = String::new();
    within(visitor.read_to_string(&mut all)).await.unwrap();
    assert_eq!(all, "still here");
    assert_eq!(old.ended().await, Code::Replaced);
}

#[tokio::test]
async fn endpoints_come_and_go_in_a_session() {
    for kind in ALL {
        let bed = Bed::start().await;
        let a = bed
            .claim("a.localhost", Kind::Http, Sharing::Exclusive)
            .await;
        let b = bed
            .claim("b.localhost", Kind::Http, Sharing::Exclusive)
            .await;
        let mut first = bed.hello(&[&a, &b]).await;
        first.bind = Some(vec![bind(1, "a.localhost")]);
        let mut agent = Agent::join(&bed, kind, first).await.unwrap();
        agent.say(AgentMessage::Bind(bind(2, "b.localhost"))).await;
        assert!(matches!(agent.hear().await, EdgeMessage::Bound(bound) if bound.id == 2));
        for (wish, code) in [
            (bind(2, "a.localhost"), Code::Protocol),
            (bind(3, "b.localhost"), Code::Conflict),
            (bind(3, "c.localhost"), Code::Forbidden),
        ] {
            agent.say(AgentMessage::Bind(wish.clone())).await;
            match agent.hear().await {
                EdgeMessage::Error(error) => {
                    assert_eq!((error.code, error.id), (code, Some(wish.id)));
                }
                other => panic!("{other:?}"),
            }
        }
        bed.placements(|all| all.len() == 1 && all[0].endpoints.len() == 2)
            .await;
        agent.say(AgentMessage::Unbind { id: 1 }).await;
        assert_eq!(agent.hear().await, EdgeMessage::Unbound { id: 1 });
        bed.placements(|all| all.len() == 1 && all[0].endpoints == [b.claim.clone()])
            .await;
        agent.say(AgentMessage::Ping { n: 7 }).await;
        assert_eq!(agent.hear().await, EdgeMessage::Pong { n: 7 });
        agent.say(AgentMessage::Drain).await;
        bed.placements(<[_]>::is_empty).await;
        agent.say(AgentMessage::Ping { n: 8 }).await;
        assert_eq!(
            agent.hear().await,
            EdgeMessage::Pong { n: 8 },
            "the session goes on"
        );
    }
}

#[tokio::test]
async fn some_of_several_binds_are_better_than_none() {
    let bed = Bed::start().await;
    let a = bed
        .claim("a.localhost", Kind::Http, Sharing::Exclusive)
        .await;
    let b = bed
        .claim("b.localhost", Kind::Http, Sharing::Exclusive)
        .await;
    let _holder = Agent::join(&bed, ALL[0], bed.hello(&[&a]).await)
        .await
        .unwrap();
    let mut agent = Agent::join(&bed, ALL[0], bed.hello(&[&a, &b]).await)
        .await
        .unwrap();
    assert_eq!(agent.welcome.bound.len(), 1);
    assert!(
        matches!(agent.hear().await, EdgeMessage::Error(error) if error.code == Code::Conflict && error.id == Some(1))
    );
}

#[tokio::test]
async fn many_binds_come_in_several_lines() {
    let bed = Bed::start().await;
    let mut all = Vec::new();
    for n in 0..40 {
        all.push(
            bed.claim(&format!("n{n}.localhost"), Kind::Http, Sharing::Exclusive)
                .await,
        );
    }
    let all: Vec<_> = all.iter().collect();
    let mut agent = Agent::join(&bed, ALL[1], bed.hello(&all).await)
        .await
        .unwrap();
    let (mut bound, mut more) = (agent.welcome.bound.len(), agent.welcome.more);
    while more {
        match agent.hear().await {
            EdgeMessage::Welcome(next) => (bound, more) = (bound + next.bound.len(), next.more),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bound, 40);
}

#[tokio::test]
async fn visits_are_told_to_those_who_asked() {
    let bed = Bed::start().await;
    let host = bed
        .claim("a.localhost", Kind::Http, Sharing::Exclusive)
        .await;
    let asking = tunnel::message::Hello {
        visits: true,
        datagrams: false,
        ..bed.hello(&[&host]).await
    };
    let mut agent = Agent::join(&bed, ALL[0], asking).await.unwrap();
    let visit = async {
        let mut visitor = bed.visit_tls("a.localhost", &[b"http/1.1"]).await.unwrap();
        let request = b"GET /x?secret HTTP/1.1\r\nhost: a.localhost\r\nconnection: close\r\n\r\n";
        visitor.write_all(request).await.unwrap();
        let mut answer = String::new();
        within(visitor.read_to_string(&mut answer)).await.unwrap();
        answer
    };
    let origin = async {
        let (_, mut stream) = agent.accept().await;
        let mut request = [0; 1024];
        let read = within(stream.read(&mut request)).await.unwrap();
        assert!(request[..read].starts_with(b"GET /x?secret HTTP/1.1\r\n"));
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
            .await
            .unwrap();
        stream.flush().await.unwrap();
        stream
    };
    let (answer, _stream) = tokio::join!(visit, origin);
    assert!(answer.ends_with("\r\n\r\nhi"), "{answer}");
    match agent.hear().await {
        EdgeMessage::Visit(visit) => assert_eq!((visit.path.as_str(), visit.status), ("/x", 200)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_second_hello_ends_the_session() {
    let bed = Bed::start().await;
    let host = bed
        .claim("a.localhost", Kind::Http, Sharing::Exclusive)
        .await;
    let mut agent = Agent::join(&bed, ALL[1], bed.hello(&[&host]).await)
        .await
        .unwrap();
    agent
        .say(AgentMessage::Hello(bed.hello(&[&host]).await))
        .await;
    assert_eq!(agent.ended().await, Code::Protocol);
}

#[tokio::test]
async fn the_edge_takes_no_second_stream_of_an_agent() {
    let bed = Bed::start().await;
    let connected = connect(&bed, ALL[0]).await;
    let control = connected.transport.open().await.unwrap();
    let mut writer = ControlWriter::new(control);
    let host = bed
        .claim("a.localhost", Kind::Http, Sharing::Exclusive)
        .await;
    writer
        .send(&AgentMessage::Hello(bed.hello(&[&host]).await))
        .await
        .unwrap();
    bed.placements(|all| all.len() == 1).await;
    let second = tokio::time::timeout(
        std::time::Duration::from_millis(100),
        connected.transport.open(),
    );
    assert!(second.await.is_err());
}
