//! An edge that stops: agents go elsewhere, visitors finish what they began.

use model::EdgeFact;
use store::{Transaction, Value, layout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tunnel::{
    Code,
    message::{AgentMessage, EdgeMessage},
};

use super::{
    agent::{ALL, Agent},
    bed::{Bed, now, put, within},
};

#[tokio::test]
async fn an_edge_that_stops_says_so_and_takes_its_placements_back() {
    for kind in ALL {
        let mut bed = Bed::start().await;
        let port = bed.claim_port().await;
        let hello = bed.hello(&[&port]).await;
        let mut agent = Agent::join(&bed, kind, hello).await.unwrap();
        bed.placements(|all| all.len() == 1).await;
        let mut visitor = bed.visit_port().await;
        let (_, mut stream) = agent.accept().await;
        bed.stop.cancel();
        assert!(matches!(agent.hear().await, EdgeMessage::Drain(_)));
        stream.write_all(b"the rest").await.unwrap();
        stream.shutdown().await.unwrap();
        visitor.shutdown().await.unwrap();
        let mut rest = String::new();
        within(visitor.read_to_string(&mut rest)).await.unwrap();
        assert_eq!(rest, "the rest", "what was begun is finished");
        bed.stop().await;
        assert_eq!(agent.ended().await, Code::Draining, "{kind}");
        bed.placements(<[_]>::is_empty).await;
    }
}

#[tokio::test]
async fn agents_are_told_where_else_to_go_and_visitors_come_until_they_went() {
    let mut bed = Bed::start().await;
    let other = EdgeFact {
        id: "edge2".parse().unwrap(),
        region: "local".parse().unwrap(),
        url: "https://edge2.localhost".into(),
        draining: false,
        started: now(),
    };
    let fact = Value::json(&other).unwrap();
    put(
        &*bed.store,
        Transaction::new().put(layout::edge(&other.id), fact),
    )
    .await;
    let port = bed.claim_port().await;
    let mut agent = Agent::join(&bed, ALL[0], bed.hello(&[&port]).await)
        .await
        .unwrap();
    assert_eq!(agent.welcome.edges, std::slice::from_ref(&other.url));
    bed.stop.cancel();
    match agent.hear().await {
        EdgeMessage::Drain(drain) => assert_eq!(drain.edges, [other.url]),
        message => panic!("{message:?}"),
    }
    let late = bed.hello(&[&port]).await;
    let refused = Agent::join(&bed, ALL[0], late).await.err().unwrap();
    assert_eq!(refused.code, Code::Draining);
    let visitor = bed.visit_port().await;
    drop((agent.accept().await, visitor));
    agent.say(AgentMessage::Drained).await;
    bed.stop().await;
    assert_eq!(agent.ended().await, Code::Draining);
}
