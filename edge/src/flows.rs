//! Which flows of datagrams there are. Each holds a stream, a task and what waits for it, and anybody can begin one with a
//! single packet from an address that may not even be his, so all of them are counted: together, and by address on each port.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::{
    bounds::{FLOW_BYTES, FLOW_QUEUE, FLOWS_OF_ADDRESS},
    listen::network,
    metrics::{Hit, Metrics},
};

/// What all sockets share.
#[derive(Debug)]
pub(crate) struct Flows {
    places: Arc<Semaphore>,
    /// Bytes of datagrams that wait.
    waiting: Arc<Semaphore>,
    metrics: Metrics,
}

/// The flows of one socket.
#[derive(Debug)]
pub(crate) struct Table {
    all: Arc<Flows>,
    here: Mutex<Here>,
}

#[derive(Debug, Default)]
struct Here {
    flows: HashMap<SocketAddr, mpsc::Sender<Waiting>>,
    of_address: HashMap<IpAddr, usize>,
}

/// A datagram on its way from a visitor to the agent.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

/// A flow that has begun: whoever carries it holds this until it is over.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) visitor: SocketAddr,
    pub(crate) datagrams: mpsc::Receiver<Waiting>,
    table: Arc<Table>,
    _place: OwnedSemaphorePermit,
}

impl Flows {
    pub(crate) fn new(most: usize, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(most)),
            waiting: Arc::new(Semaphore::new(FLOW_BYTES)),
            metrics,
        })
    }

    pub(crate) fn table(self: &Arc<Self>) -> Arc<Table> {
        Arc::new(Table {
            all: self.clone(),
            here: Mutex::default(),
        })
    }
}

impl Table {
    /// Takes a visitor's datagram to his flow, and gives the flow when it is a new one. What there is no room for is dropped,
    /// as the network would, and counted.
    pub(crate) fn take(self: &Arc<Self>, visitor: SocketAddr, datagram: &[u8]) -> Option<Begun> {
        let waiting = self.waiting(datagram)?;
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flow) = here.flows.get(&visitor) {
            if flow.try_send(waiting).is_err() {
                self.all.metrics.hit(Hit::FlowQueue);
            }
            return None;
        }
        let address = network(visitor.ip());
        if here.of_address.get(&address) >= Some(&FLOWS_OF_ADDRESS) {
            self.all.metrics.hit(Hit::FlowsOfAddress);
            return None;
        }
        let Ok(place) = self.all.places.clone().try_acquire_owned() else {
            self.all.metrics.hit(Hit::Flows);
            return None;
        };
        let (flow, datagrams) = mpsc::channel(FLOW_QUEUE);
        // It is empty.
        let _ = flow.try_send(waiting);
        here.flows.insert(visitor, flow);
        *here.of_address.entry(address).or_default() += 1;
        Some(Begun {
            visitor,
            datagrams,
            table: self.clone(),
            _place: place,
        })
    }

    fn waiting(&self, datagram: &[u8]) -> Option<Waiting> {
        // An empty one needs room, too: its place in the queue.
        let bytes = u32::try_from(datagram.len().max(1)).unwrap_or(u32::MAX);
        let room = self.all.waiting.clone().try_acquire_many_owned(bytes);
        let Ok(room) = room else {
            self.all.metrics.hit(Hit::FlowBytes);
            return None;
        };
        Some(Waiting {
            bytes: datagram.to_vec(),
            _room: room,
        })
    }

    fn over(&self, visitor: SocketAddr) {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.flows.remove(&visitor);
        let address = network(visitor.ip());
        let left = here
            .of_address
            .get(&address)
            .map_or(0, |flows| flows.saturating_sub(1));
        if left == 0 {
            here.of_address.remove(&address);
        } else {
            here.of_address.insert(address, left);
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.table.over(self.visitor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(address: u32, port: u16) -> SocketAddr {
        (std::net::Ipv4Addr::from(0x0a00_0000 + address), port).into()
    }

    fn flows(most: usize) -> (Arc<Table>, Metrics) {
        let metrics = Metrics::default();
        (Flows::new(most, metrics.clone()).table(), metrics)
    }

    #[test]
    fn a_visitor_has_one_flow_until_it_is_over() {
        let (table, _) = flows(10);
        let mut flow = table.take(visitor(1, 1), b"one").unwrap();
        assert!(table.take(visitor(1, 1), b"two").is_none());
        assert_eq!(flow.datagrams.try_recv().unwrap().bytes, b"one");
        assert_eq!(flow.datagrams.try_recv().unwrap().bytes, b"two");
        drop(flow);
        assert!(table.take(visitor(1, 1), b"three").is_some());
    }

    #[test]
    fn a_flood_of_addresses_finds_no_more_places_than_there_are() {
        let (table, metrics) = flows(3);
        let begun: Vec<_> = (0..10)
            .filter_map(|n| table.take(visitor(n, 1), b""))
            .collect();
        assert_eq!((begun.len(), metrics.bounds().hits(Hit::Flows)), (3, 7));
        drop(begun);
        assert!(table.take(visitor(11, 1), b"").is_some());
    }

    #[test]
    fn one_address_does_not_take_the_places_of_all() {
        let (table, metrics) = flows(FLOWS_OF_ADDRESS * 2);
        let ports = 0..u16::try_from(FLOWS_OF_ADDRESS + 5).unwrap();
        let begun: Vec<_> = ports
            .filter_map(|port| table.take(visitor(1, port), b""))
            .collect();
        assert_eq!(begun.len(), FLOWS_OF_ADDRESS);
        assert_eq!(metrics.bounds().hits(Hit::FlowsOfAddress), 5);
        assert!(table.take(visitor(2, 1), b"").is_some());
        drop(begun);
        assert!(table.take(visitor(1, 1), b"").is_some());
        assert!(table.here.lock().unwrap().of_address.is_empty());
    }

    #[test]
    fn what_waits_is_bounded_by_its_flow_and_by_all_bytes() {
        let (table, metrics) = flows(FLOW_BYTES);
        let flow = table.take(visitor(1, 1), b"x");
        for _ in 0..FLOW_QUEUE {
            assert!(table.take(visitor(1, 1), b"x").is_none());
        }
        assert_eq!(metrics.bounds().hits(Hit::FlowQueue), 1);
        let large = vec![0; 60_000];
        let mut begun = Vec::new();
        for n in 2.. {
            match table.take(visitor(n, 1), &large) {
                Some(flow) => begun.push(flow),
                None => break,
            }
        }
        assert!(begun.len() <= FLOW_BYTES / large.len());
        assert_eq!(metrics.bounds().hits(Hit::FlowBytes), 1);
        drop((flow, begun));
        assert_eq!(table.all.waiting.available_permits(), FLOW_BYTES);
    }
}
