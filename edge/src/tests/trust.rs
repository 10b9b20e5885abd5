//! What is taken away from sessions that are open, and what a new token changes.

use std::time::Duration;

use model::{Kind, Revocation, Sharing};
use tokio::io::AsyncReadExt;
use tunnel::{
    Code, StreamReset,
    message::{AgentMessage, EdgeMessage, ErrorMessage},
};

use super::{
    agent::{ALL, Agent},
    bed::{Bed, hello, now, within},
};

async fn error(agent: &mut Agent) -> ErrorMessage {
    match agent.hear().await {
        EdgeMessage::Error(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_revocation_cuts_the_session_and_its_streams_at_once() {
    for kind in ALL {
        let bed = Bed::start().await;
        let port = bed.claim_port().await;
        let claims = bed.claims(&[&port]).await;
        for revoked in [
            Revocation::Token(claims.id.clone()),
            Revocation::Grant("grt_2".parse().unwrap()),
            Revocation::Account("acc_2".parse().unwrap()),
        ] {
            let mut claims = claims.clone();
            match &revoked {
                Revocation::Token(_) | Revocation::Claim(_) => {}
                Revocation::Grant(id) => {
                    (claims.grant_id, claims.id) = (id.clone(), "tok_2".parse().unwrap());
                }
                Revocation::Account(id) => {
                    (claims.account, claims.id) = (id.clone(), "tok_3".parse().unwrap());
                }
            }
            let agent = Agent::join(&bed, kind, hello(bed.sign(&claims)))
                .await
                .unwrap();
            let mut visitor = bed.visit_port().await;
            let (_, _stream) = agent.accept().await;
            bed.revoke(revoked.clone()).await;
            assert_eq!(agent.ended().await, Code::Revoked, "{kind} {revoked:?}");
            assert!(
                within(visitor.read(&mut [0])).await.is_err(),
                "a cut is no end"
            );
            let error = Agent::join(&bed, kind, hello(bed.sign(&claims)))
                .await
                .err()
                .unwrap();
            assert_eq!(error.code, Code::Revoked);
        }
    }
}

#[tokio::test]
async fn a_revoked_claim_takes_its_endpoint_and_leaves_the_others() {
    for kind in ALL {
        let bed = Bed::start().await;
        let host = bed
            .claim("a.localhost", Kind::Http, Sharing::Exclusive)
            .await;
        let port = bed.claim_port().await;
        let mut agent = Agent::join(&bed, kind, bed.hello(&[&port, &host]).await)
            .await
            .unwrap();
        let mut visitor = bed.visit_port().await;
        let (_, mut stream) = agent.accept().await;
        bed.revoke(Revocation::Claim(port.claim.clone())).await;
        let told = error(&mut agent).await;
        assert_eq!((told.code, told.id), (Code::Revoked, Some(1)));
        assert!(
            within(visitor.read(&mut [0])).await.is_err(),
            "its streams are cut"
        );
        let error = within(stream.read(&mut [0])).await.unwrap_err();
        assert!(StreamReset::of(&error).is_some());
        bed.placements(|all| all.len() == 1 && all[0].endpoints == [host.claim.clone()])
            .await;
        bed.revoke(Revocation::Claim(host.claim.clone())).await;
        assert_eq!(agent.ended().await, Code::Revoked, "nothing is left");
    }
}

#[tokio::test]
async fn a_released_name_is_taken_from_its_session() {
    let bed = Bed::start().await;
    let host = bed
        .claim("a.localhost", Kind::Http, Sharing::Exclusive)
        .await;
    let token = bed.hello(&[&host]).await;
    let agent = Agent::join(&bed, ALL[0], token.clone()).await.unwrap();
    bed.release(&host).await;
    assert_eq!(agent.ended().await, Code::Forbidden);
    bed.claim("a.localhost", Kind::Http, Sharing::Exclusive)
        .await;
    let error = Agent::join(&bed, ALL[0], token).await.err().unwrap();
    assert_eq!(error.code, Code::Forbidden, "claimed anew");
}

#[tokio::test]
async fn a_name_below_a_wildcard_goes_with_it_or_to_who_claims_it() {
    let bed = Bed::start().await;
    let wildcard = bed
        .claim("*.w.localhost", Kind::Http, Sharing::Exclusive)
        .await;
    let bind = |id, host: &str| tunnel::message::Bind {
        id,
        host: Some(host.parse().unwrap()),
        port: None,
        kind: Kind::Http,
        proto: None,
        host_header: None,
    };
    let mut hello = bed.hello(&[&wildcard]).await;
    hello.bind = Some(vec![bind(1, "x.w.localhost"), bind(2, "y.w.localhost")]);
    let mut agent = Agent::join(&bed, ALL[0], hello).await.unwrap();
    bed.claim("x.w.localhost", Kind::Http, Sharing::Exclusive)
        .await;
    let told = error(&mut agent).await;
    assert_eq!((told.code, told.id), (Code::Forbidden, Some(1)));
    bed.release(&wildcard).await;
    assert_eq!(agent.ended().await, Code::Forbidden);
}

#[tokio::test]
async fn a_session_ends_with_its_time() {
    for kind in ALL {
        let bed = Bed::start().await;
        let port = bed.claim_port().await;
        let mut claims = bed.claims(&[&port]).await;
        claims.expires = now().plus(Duration::from_secs(2));
        claims.session_expires = claims.expires;
        let agent = Agent::join(&bed, kind, hello(bed.sign(&claims)))
            .await
            .unwrap();
        assert_eq!(agent.ended().await, Code::Expired, "{kind}");
    }
}

#[tokio::test]
async fn a_new_token_prolongs_the_session_and_may_take_endpoints_away() {
    let bed = Bed::start().await;
    let a = bed
        .claim("a.localhost", Kind::Http, Sharing::Exclusive)
        .await;
    let b = bed
        .claim("b.localhost", Kind::Http, Sharing::Exclusive)
        .await;
    let mut claims = bed.claims(&[&a, &b]).await;
    claims.expires = now().plus(Duration::from_secs(3));
    claims.session_expires = claims.expires;
    let mut agent = Agent::join(&bed, ALL[1], hello(bed.sign(&claims)))
        .await
        .unwrap();
    let fresh = bed.claims(&[&a]).await;
    agent
        .say(AgentMessage::Token {
            token: bed.sign(&fresh),
        })
        .await;
    let told = error(&mut agent).await;
    assert_eq!((told.code, told.id), (Code::Forbidden, Some(2)));
    match agent.hear().await {
        EdgeMessage::Welcome(welcome) => {
            assert_eq!(welcome.session_exp, fresh.session_expires);
            assert_eq!(welcome.session, agent.welcome.session);
            assert_eq!(welcome.bound.len(), 1);
        }
        other => panic!("{other:?}"),
    }
    let mut foreign = bed.claims(&[&a]).await;
    foreign.subject = "agt_2".parse().unwrap();
    agent
        .say(AgentMessage::Token {
            token: bed.sign(&foreign),
        })
        .await;
    assert_eq!(error(&mut agent).await.code, Code::Auth);
    tokio::time::sleep(Duration::from_secs(3)).await;
    agent.say(AgentMessage::Ping { n: 1 }).await;
    assert_eq!(
        agent.hear().await,
        EdgeMessage::Pong { n: 1 },
        "older than its first token"
    );
}
