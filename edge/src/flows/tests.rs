use std::net::Ipv4Addr;

use super::*;

fn at(address: u32, port: u16) -> Ends {
    by_port(address, port, 1000)
}

fn by_port(address: u32, port: u16, local: u16) -> Ends {
    Ends {
        visitor: (Ipv4Addr::from(0x0a00_0000 + address), port).into(),
        local: (Ipv4Addr::LOCALHOST, local).into(),
    }
}

struct Bed {
    flows: Arc<Flows>,
    metrics: Metrics,
    now: Instant,
}

impl Bed {
    fn new(most: usize) -> Self {
        let metrics = Metrics::default();
        Self {
            flows: Flows::new(most, metrics.clone()),
            metrics,
            now: Instant::now(),
        }
    }

    fn take(&self, ends: Ends, datagram: &[u8]) -> Option<Begun> {
        self.flows.take(ends, datagram, self.now)
    }

    fn hits(&self, bound: Hit) -> u64 {
        self.metrics.bounds().hits(bound)
    }

    fn is_empty(&self) -> bool {
        let here = self.flows.lock();
        here.flows.is_empty() && here.counts.is_empty() && here.young.is_empty()
    }
}

#[test]
fn a_visitor_has_one_flow_until_it_is_over() {
    let bed = Bed::new(10);
    let mut flow = bed.take(at(1, 1), b"one").unwrap();
    assert!(bed.take(at(1, 1), b"two").is_none());
    bed.flows.take_known(at(1, 1), b"three");
    for said in [b"one".as_slice(), b"two", b"three"] {
        assert_eq!(flow.datagrams.try_recv().unwrap().bytes, said);
    }
    let other = bed.take(by_port(1, 1, 1001), b"to another address");
    assert!(other.is_some(), "his socket may speak to several");
    drop((flow, other));
    bed.flows.take_known(at(1, 1), b"nobody");
    assert!(bed.is_empty());
    assert!(bed.take(at(1, 1), b"four").is_some());
}

#[test]
fn a_flood_of_addresses_finds_no_more_places_than_there_are() {
    let bed = Bed::new(3);
    let begun: Vec<_> = (0..10).filter_map(|n| bed.take(at(n, 1), b"")).collect();
    assert_eq!((begun.len(), bed.hits(Hit::Flows)), (3, 7));
    assert!(begun.iter().all(|flow| !flow.gives_way.is_cancelled()));
    drop(begun);
    assert!(bed.take(at(11, 1), b"").is_some());
}

#[test]
fn the_oldest_that_said_one_thing_gives_way_once_it_had_its_chance() {
    let mut bed = Bed::new(3);
    let talks = bed.take(at(1, 1), b"one").unwrap();
    assert!(bed.take(at(1, 1), b"two").is_none());
    let older = bed.take(at(2, 1), b"").unwrap();
    let newer = bed.take(at(3, 1), b"").unwrap();
    assert!(
        bed.take(at(4, 1), b"").is_none(),
        "all may still be answered"
    );
    bed.now += FLOW_CHANCE;
    let next = bed.take(at(4, 1), b"").unwrap();
    assert!(older.gives_way.is_cancelled() && !newer.gives_way.is_cancelled());
    let last = bed.take(at(5, 1), b"").unwrap();
    assert!(newer.gives_way.is_cancelled() && !talks.gives_way.is_cancelled());
    // Who gave way begins anew, and the end of his first flow is not the end of his second.
    bed.now += FLOW_CHANCE;
    let again = bed.take(at(2, 1), b"").unwrap();
    assert!(next.gives_way.is_cancelled());
    drop(older);
    bed.flows.take_known(at(2, 1), b"still there");
    assert_eq!(again.datagrams.len(), 2);
    drop((talks, newer, next, last, again));
    assert!(bed.is_empty());
}

#[test]
fn those_who_talk_keep_their_places() {
    let mut bed = Bed::new(2);
    let talk: Vec<_> = (0..2).filter_map(|n| bed.take(at(n, 1), b"one")).collect();
    for n in 0..2 {
        bed.flows.take_known(at(n, 1), b"two");
    }
    bed.now += FLOW_CHANCE * 100;
    assert!(bed.take(at(3, 1), b"").is_none());
    assert!(talk.iter().all(|flow| !flow.gives_way.is_cancelled()));
}

#[test]
fn one_address_does_not_take_the_places_of_all() {
    let bed = Bed::new(FLOWS_OF_ADDRESS * 2);
    // Whichever ports of the edge it comes by.
    let ports = 0..u16::try_from(FLOWS_OF_ADDRESS + 5).unwrap();
    let begun: Vec<_> = ports
        .filter_map(|port| bed.take(by_port(1, port, port), b""))
        .collect();
    assert_eq!(begun.len(), FLOWS_OF_ADDRESS);
    assert_eq!(bed.hits(Hit::FlowsOfAddress), 5);
    assert!(bed.take(at(2, 1), b"").is_some());
    drop(begun);
    assert!(bed.take(at(1, 1), b"").is_some());
    assert!(bed.is_empty());
}

#[test]
fn one_port_does_not_take_the_places_of_all() {
    let bed = Bed::new(FLOWS_OF_PORT * 2);
    let addresses = 0..u32::try_from(FLOWS_OF_PORT + 5).unwrap();
    let begun: Vec<_> = addresses.filter_map(|n| bed.take(at(n, 1), b"")).collect();
    assert_eq!(begun.len(), FLOWS_OF_PORT);
    assert_eq!(bed.hits(Hit::FlowsOfPort), 5);
    assert!(bed.take(by_port(1, 1, 1001), b"").is_some());
}

#[test]
fn what_waits_is_bounded_by_its_flow_and_by_all_bytes() {
    let bed = Bed::new(FLOW_BYTES);
    let flow = bed.take(at(1, 1), b"x");
    for _ in 0..FLOW_QUEUE {
        assert!(bed.take(at(1, 1), b"x").is_none());
    }
    assert_eq!(bed.hits(Hit::FlowQueue), 1);
    let large = vec![0; 60_000];
    let mut begun = Vec::new();
    for n in 2.. {
        match bed.take(at(n, 1), &large) {
            Some(flow) => begun.push(flow),
            None => break,
        }
    }
    assert!(begun.len() <= FLOW_BYTES / large.len());
    assert_eq!(bed.hits(Hit::FlowBytes), 1);
    drop((flow, begun));
    assert_eq!(bed.flows.waiting.available_permits(), FLOW_BYTES);
}
