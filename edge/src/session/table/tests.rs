use async_trait::async_trait;
use model::{Grant, Kind, Sharing, UnixTime};
use token::Claims;
use tunnel::{
    Stream, Transport, TransportError, TransportKind, TransportStats, message::OriginProtocol,
};

use super::*;
use crate::session::handle::NewSession;

#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Transport for Nowhere {
    async fn open(&self) -> Result<Stream, TransportError> {
        Err(TransportError::ClosedHere)
    }

    async fn accept(&self) -> Result<Stream, TransportError> {
        Err(TransportError::ClosedHere)
    }

    fn admit(&self, _: u32) {}

    fn close(&self, _: Code, _: &str) {}

    async fn closed(&self) -> TransportError {
        TransportError::ClosedHere
    }

    fn rtt(&self) -> Option<std::time::Duration> {
        None
    }

    fn exporter(&self) -> Option<tunnel::Exporter> {
        None
    }

    fn kind(&self) -> TransportKind {
        TransportKind::Tcp
    }

    fn peer(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], 1).into()
    }

    fn stats(&self) -> TransportStats {
        TransportStats::default()
    }
}

fn session(id: &str, subject: &str) -> Arc<SessionHandle> {
    let claims = Claims {
        issuer: "i".into(),
        audience: "a".into(),
        subject: subject.parse().unwrap(),
        account: "acc_1".parse().unwrap(),
        client: "c".into(),
        id: "tok_1".parse().unwrap(),
        grant_id: "grt_1".parse().unwrap(),
        grant: Grant::default(),
        issued: UnixTime::from_secs(10),
        not_before: UnixTime::from_secs(10),
        expires: UnixTime::from_secs(20),
        session_expires: UnixTime::from_secs(30),
        revision: model::Revision::ZERO,
        confirmation: None,
    };
    let new = NewSession {
        id: id.parse().unwrap(),
        since: UnixTime::from_secs(10),
        transport: Arc::new(Nowhere),
        claims,
        resume: format!("secret of {id}").into(),
        wants_visits: false,
        datagrams: false,
    };
    SessionHandle::new(new, Metrics::default()).0
}

fn allowed(id: u32, name: &str, claim: &str, sharing: Sharing) -> Allowed {
    let name: EndpointName = name.parse().unwrap();
    Allowed {
        id,
        granted_as: name.clone(),
        name,
        kind: Kind::Http,
        claim: claim.parse().unwrap(),
        account: "acc_1".parse().unwrap(),
        sharing,
        protocol: OriginProtocol::H1,
        host_header: None,
    }
}

fn wish(name: &str) -> Vec<Result<Allowed, Refusal>> {
    vec![Ok(allowed(1, name, "clm_1", Sharing::Exclusive))]
}

fn claimed(name: &str, claim: &str) -> Claimed {
    let (name, claim) = (name.parse().unwrap(), claim.parse().unwrap());
    Claimed {
        name,
        claim,
        kind: Kind::Http,
    }
}

fn table(limit: usize) -> Sessions {
    Sessions::new(limit, Metrics::default())
}

fn holder(table: &Sessions, name: &str) -> Option<String> {
    let found = table.find(&name.parse().unwrap(), &claimed(name, "clm_1"));
    found.map(|holding| holding.bound.session.id.to_string())
}

#[test]
fn nothing_is_left_of_a_session_that_is_over() {
    let table = table(10);
    let one = session("ses_1", "agt_1");
    table.open(&one, wish("a.example"), None).unwrap();
    assert_eq!(holder(&table, "a.example").as_deref(), Some("ses_1"));
    table.close(&one.id);
    table.close(&one.id);
    let members = table.read();
    assert_eq!(
        (
            members.len(),
            members.any_bound(),
            members.of_subject(&one.subject())
        ),
        (0, false, 0)
    );
}

#[test]
fn a_session_that_is_over_but_not_forgotten_holds_nothing() {
    let table = table(10);
    let (one, two) = (session("ses_1", "agt_1"), session("ses_2", "agt_2"));
    table.open(&one, wish("a.example"), None).unwrap();
    one.end(Code::Idle, "gone");
    assert_eq!(holder(&table, "a.example"), None);
    table.open(&two, wish("a.example"), None).unwrap();
    assert_eq!(holder(&table, "a.example").as_deref(), Some("ses_2"));
    table.close(&one.id);
    assert_eq!(
        holder(&table, "a.example").as_deref(),
        Some("ses_2"),
        "the late end takes nothing"
    );
}

#[test]
fn a_refused_session_leaves_no_trace() {
    let table = table(10);
    let (one, two) = (session("ses_1", "agt_1"), session("ses_2", "agt_1"));
    table.open(&one, wish("a.example"), None).unwrap();
    let refusal = table.open(&two, wish("a.example"), None).unwrap_err();
    assert_eq!((refusal.code, refusal.bind), (Code::Conflict, None));
    assert_eq!(table.read().len(), 1);
}

#[test]
fn sessions_are_bounded_in_all_and_for_each_subject() {
    let small = table(1);
    small
        .open(&session("ses_1", "agt_1"), Vec::new(), None)
        .unwrap();
    let refusal = small
        .open(&session("ses_2", "agt_2"), Vec::new(), None)
        .unwrap_err();
    assert_eq!(refusal.code, Code::Limit);
    assert_eq!(small.metrics.hits(Hit::Sessions), 1);
    let large = table(1000);
    for n in 0..SESSIONS_PER_SUBJECT {
        large
            .open(&session(&format!("ses_{n}"), "agt_1"), Vec::new(), None)
            .unwrap();
    }
    let refusal = large
        .open(&session("ses_x", "agt_1"), Vec::new(), None)
        .unwrap_err();
    assert_eq!(refusal.code, Code::Limit);
    large
        .open(&session("ses_y", "agt_2"), Vec::new(), None)
        .unwrap();
}

#[test]
fn replicas_take_turns_and_other_claims_none() {
    let table = table(10);
    for id in ["ses_1", "ses_2"] {
        let wishes = vec![Ok(allowed(1, "a.example", "clm_1", Sharing::Replicas))];
        table.open(&session(id, "agt_1"), wishes, None).unwrap();
    }
    let seen: BTreeSet<_> = (0..2).filter_map(|_| holder(&table, "a.example")).collect();
    assert_eq!(seen.len(), 2);
    let other = table.find(
        &"a.example".parse().unwrap(),
        &claimed("a.example", "clm_2"),
    );
    assert!(other.is_none());
}

#[test]
fn every_change_is_told_to_who_writes_placements() {
    let table = table(10);
    let one = session("ses_1", "agt_1");
    let edge: EdgeId = "ams1".parse().unwrap();
    let touched = |table: &Sessions| table.take_touched().contains(&one.id);
    table.open(&one, wish("a.example"), None).unwrap();
    assert!(touched(&table) && table.placement(&edge, &one.id).is_some());
    assert!(table.unbind(&one.id, 1) && !table.unbind(&one.id, 1));
    assert!(touched(&table) && table.placement(&edge, &one.id).is_none());
    table
        .bind(&one, allowed(2, "a.example", "clm_1", Sharing::Exclusive))
        .unwrap();
    assert!(touched(&table));
    table.take_away(Code::Forbidden, "why", None, |_| true);
    assert!(touched(&table) && one.is_over());
}
