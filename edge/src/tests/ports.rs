//! `tcp` endpoints: what goes in at one end comes out at the other, and so does how it ends.

use std::{io::ErrorKind, time::Duration};

use model::Kind;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tunnel::{Code, StreamReset};

use super::{
    agent::{ALL, Agent},
    bed::{Bed, within},
};
use crate::ConnectionEnd;

async fn to_end(stream: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    within(stream.read_to_end(&mut all)).await?;
    Ok(all)
}

#[tokio::test]
async fn each_direction_ends_by_itself() {
    for kind in ALL {
        let bed = Bed::start().await;
        let port = bed.claim_port().await;
        let agent = Agent::join(&bed, kind, bed.hello(&[&port]).await)
            .await
            .unwrap();
        let mut visitor = bed.visit_port().await;
        visitor.write_all(b"ask").await.unwrap();
        visitor.shutdown().await.unwrap();
        let (head, mut stream) = agent.accept().await;
        assert_eq!(
            (head.source, head.destination),
            (visitor.local_addr().unwrap(), visitor.peer_addr().unwrap())
        );
        assert_eq!(head.bind, agent.welcome.bound[0].id);
        assert_eq!(to_end(&mut stream).await.unwrap(), b"ask", "{kind}");
        stream.write_all(&vec![7; 300_000]).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(to_end(&mut visitor).await.unwrap().len(), 300_000, "{kind}");
        let line = bed.log.lines(1).await.remove(0);
        assert_eq!(
            (line.end, line.up, line.down),
            (ConnectionEnd::Complete, 3, 300_000)
        );
        assert_eq!(
            (line.kind, line.port, line.claim),
            (Kind::Tcp, Some(bed.port), Some(port.claim))
        );
        let told = head.unique_id.unwrap();
        assert!(told.starts_with(line.connection.as_bytes()));
    }
}

#[tokio::test]
async fn the_origin_may_speak_first() {
    for kind in ALL {
        let bed = Bed::start().await;
        let port = bed.claim_port().await;
        let agent = Agent::join(&bed, kind, bed.hello(&[&port]).await)
            .await
            .unwrap();
        let mut visitor = bed.visit_port().await;
        let (_, mut stream) = agent.accept().await;
        stream.write_all(b"220 ready\r\n").await.unwrap();
        stream.flush().await.unwrap();
        let mut greeting = [0; 11];
        within(visitor.read_exact(&mut greeting)).await.unwrap();
        assert_eq!(&greeting, b"220 ready\r\n");
    }
}

#[tokio::test]
async fn an_abort_of_one_side_is_an_abort_on_the_other() {
    for kind in ALL {
        let bed = Bed::start().await;
        let port = bed.claim_port().await;
        let agent = Agent::join(&bed, kind, bed.hello(&[&port]).await)
            .await
            .unwrap();

        let mut visitor = bed.visit_port().await;
        visitor.write_all(b"half").await.unwrap();
        let (_, mut stream) = agent.accept().await;
        let mut half = [0; 4];
        within(stream.read_exact(&mut half)).await.unwrap();
        visitor.set_zero_linger().unwrap();
        drop(visitor);
        let error = to_end(&mut stream).await.unwrap_err();
        assert_eq!(
            StreamReset::of(&error).unwrap().code,
            Code::Aborted,
            "{kind}"
        );

        let mut visitor = bed.visit_port().await;
        let (_, mut stream) = agent.accept().await;
        stream.write_all(b"half").await.unwrap();
        stream.flush().await.unwrap();
        within(visitor.read_exact(&mut half)).await.unwrap();
        stream.reset(Code::Aborted);
        let error = to_end(&mut visitor).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{kind}");
        let lines = bed.log.lines(2).await;
        assert!(lines.iter().all(|line| line.end == ConnectionEnd::Aborted));
    }
}

#[tokio::test]
async fn a_refused_stream_is_reset_and_named() {
    for kind in ALL {
        let bed = Bed::start().await;
        let port = bed.claim_port().await;
        let agent = Agent::join(&bed, kind, bed.hello(&[&port]).await)
            .await
            .unwrap();
        let mut visitor = bed.visit_port().await;
        let (_, mut stream) = agent.stream().await;
        stream
            .write_all(&[Code::OriginRefused.into()])
            .await
            .unwrap();
        stream.shutdown().await.unwrap();
        let error = to_end(&mut visitor).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(
            bed.log.lines(1).await[0].end,
            ConnectionEnd::Refused,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn an_agent_that_does_not_answer_costs_its_visitor_three_seconds() {
    let bed = Bed::start().await;
    let port = bed.claim_port().await;
    let agent = Agent::join(&bed, ALL[0], bed.hello(&[&port]).await)
        .await
        .unwrap();
    let mut visitor = bed.visit_port().await;
    let (_, mut stream) = agent.stream().await;
    assert!(to_end(&mut visitor).await.is_err());
    let line = bed.log.lines(1).await.remove(0);
    assert_eq!(line.end, ConnectionEnd::Timeout);
    assert!((2_900..15_000).contains(&line.ms), "{}", line.ms);
    let error = to_end(&mut stream).await.unwrap_err();
    assert_eq!(StreamReset::of(&error).unwrap().code, Code::Timeout);
}

#[tokio::test]
async fn origins_that_never_answer_do_not_stall_the_session() {
    for kind in ALL {
        let bed = Bed::start().await;
        let port = bed.claim_port().await;
        let agent = Agent::join(&bed, kind, bed.hello(&[&port]).await)
            .await
            .unwrap();
        let (mut visitors, mut silent) = (Vec::new(), Vec::new());
        for _ in 0..300 {
            let mut visitor = bed.visit_port().await;
            visitor.write_all(&[1; 100]).await.unwrap();
            visitors.push(visitor);
            silent.push(agent.accept().await);
        }
        let mut visitor = bed.visit_port().await;
        let (_, mut stream) = agent.accept().await;
        visitor.write_all(b"x").await.unwrap();
        let mut byte = [0];
        within(stream.read_exact(&mut byte)).await.unwrap();
        stream.write_all(b"y").await.unwrap();
        stream.flush().await.unwrap();
        within(visitor.read_exact(&mut byte)).await.unwrap();
        assert_eq!(&byte, b"y", "{kind}");
    }
}

#[tokio::test]
async fn a_visitor_waits_a_moment_for_an_agent() {
    let bed = Bed::start().await;
    let port = bed.claim_port().await;
    let hello = bed.hello(&[&port]).await;
    let mut visitor = bed.visit_port().await;
    visitor.write_all(b"early").await.unwrap();
    let agent = Agent::join(&bed, ALL[0], hello).await.unwrap();
    let (_, mut stream) = agent.accept().await;
    let mut early = [0; 5];
    within(stream.read_exact(&mut early)).await.unwrap();
    assert_eq!(&early, b"early");
}

#[tokio::test]
async fn without_an_agent_a_visitor_is_reset() {
    let bed = Bed::start().await;
    bed.claim_port().await;
    let mut visitor = bed.visit_port().await;
    assert_eq!(
        to_end(&mut visitor).await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    let line = bed.log.lines(1).await.remove(0);
    assert_eq!((line.end, line.claim), (ConnectionEnd::Offline, None));
    assert!(line.ms >= 1_900, "{}", line.ms);
}

#[tokio::test]
async fn a_port_is_open_only_while_it_is_claimed() {
    let bed = Bed::start().await;
    let closed = || TcpStream::connect(("127.0.0.1", bed.port));
    assert!(closed().await.is_err());
    let port = bed.claim_port().await;
    drop(bed.visit_port().await);
    bed.release(&port).await;
    within(async { while closed().await.is_ok() {} }).await;
    bed.claim_port().await;
    drop(bed.visit_port().await);
}

#[tokio::test]
async fn a_session_has_as_many_streams_as_its_token_says() {
    let bed = Bed::start().await;
    let port = bed.claim_port().await;
    let mut claims = bed.claims(&[&port]).await;
    claims.grant.limits.streams = Some(1);
    let hello = super::bed::hello(bed.sign(&claims));
    let agent = Agent::join(&bed, ALL[0], hello).await.unwrap();
    assert_eq!(agent.welcome.limits.streams, 1);
    let first = bed.visit_port().await;
    let held = agent.accept().await;
    let mut second = bed.visit_port().await;
    assert!(to_end(&mut second).await.is_err());
    assert_eq!(bed.log.lines(1).await[0].end, ConnectionEnd::Limit);
    drop((first, held));
    bed.log.lines(2).await;
    let _third = bed.visit_port().await;
    agent.accept().await;
}

#[tokio::test]
async fn what_is_left_when_the_edge_stops_is_reset() {
    let mut bed = Bed::start_with(|config| config.limits.drain = Duration::from_millis(100)).await;
    let port = bed.claim_port().await;
    let agent = Agent::join(&bed, ALL[0], bed.hello(&[&port]).await)
        .await
        .unwrap();
    let mut visitor = bed.visit_port().await;
    let (_, mut stream) = agent.accept().await;
    stream.write_all(b"half").await.unwrap();
    let mut half = [0; 4];
    within(visitor.read_exact(&mut half)).await.unwrap();
    bed.stop().await;
    let error = to_end(&mut visitor).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(bed.log.lines(1).await[0].end, ConnectionEnd::Aborted);
}
