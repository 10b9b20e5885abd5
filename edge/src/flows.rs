//! Which flows of datagrams there are. Each holds a stream, a task and what waits for it, and anybody can begin one with a
//! single packet from an address that may not even be his, so all of them are counted: together, by port, and by address. Where
//! there is no place left, the oldest flow gives way whose visitor has sent nothing since he began it.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    bounds::{FLOW_BYTES, FLOW_CHANCE, FLOW_QUEUE, FLOWS_OF_ADDRESS, FLOWS_OF_PORT},
    listen::network,
    metrics::{Hit, Metrics},
};

/// All of them, whichever socket they came by.
#[derive(Debug)]
pub(crate) struct Flows {
    most: usize,
    here: Mutex<Here>,
    /// Bytes of datagrams that wait.
    waiting: Arc<Semaphore>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Here {
    flows: HashMap<Ends, Flow>,
    counts: HashMap<Scope, usize>,
    /// Flows of one datagram, the oldest first in each scope.
    young: BTreeMap<(Scope, u64), Ends>,
    begun: u64,
}

/// The two ends of a flow at the edge: a visitor may use several of its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ends {
    pub(crate) visitor: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// Whose flows are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Scope {
    Address(IpAddr),
    Port(u16),
    All,
}

#[derive(Debug)]
struct Flow {
    /// Which one it is: its ends may have had another before.
    number: u64,
    since: Instant,
    is_young: bool,
    datagrams: mpsc::Sender<Waiting>,
    gives_way: CancellationToken,
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
    pub(crate) ends: Ends,
    pub(crate) datagrams: mpsc::Receiver<Waiting>,
    /// Its place was given to another one.
    pub(crate) gives_way: CancellationToken,
    number: u64,
    all: Arc<Flows>,
}

impl Flows {
    pub(crate) fn new(most: usize, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            most,
            here: Mutex::default(),
            waiting: Arc::new(Semaphore::new(FLOW_BYTES)),
            metrics,
        })
    }

    /// Takes a visitor's datagram to his flow, and gives the flow when it is a new one. What there is no room for is dropped,
    /// as the network would, and counted.
    pub(crate) fn take(
        self: &Arc<Self>,
        ends: Ends,
        datagram: &[u8],
        now: Instant,
    ) -> Option<Begun> {
        let waiting = self.waiting(datagram)?;
        let mut here = self.lock();
        match here.known(ends) {
            Some(flow) => {
                if flow.datagrams.try_send(waiting).is_err() {
                    self.metrics.hit(Hit::FlowQueue);
                }
                None
            }
            None => self.begin(&mut here, ends, waiting, now),
        }
    }

    /// The same for visitors who have a flow; others find nobody.
    pub(crate) fn take_known(&self, ends: Ends, datagram: &[u8]) {
        let Some(waiting) = self.waiting(datagram) else {
            return;
        };
        let mut here = self.lock();
        let flow = here.known(ends);
        if flow.is_some_and(|flow| flow.datagrams.try_send(waiting).is_err()) {
            self.metrics.hit(Hit::FlowQueue);
        }
    }

    fn begin(
        self: &Arc<Self>,
        here: &mut Here,
        ends: Ends,
        waiting: Waiting,
        now: Instant,
    ) -> Option<Begun> {
        for scope in ends.scopes() {
            let (most, bound) = match scope {
                Scope::Address(_) => (FLOWS_OF_ADDRESS, Hit::FlowsOfAddress),
                Scope::Port(_) => (FLOWS_OF_PORT, Hit::FlowsOfPort),
                Scope::All => (self.most, Hit::Flows),
            };
            if here.counts.get(&scope).is_some_and(|count| *count >= most) {
                self.metrics.hit(bound);
                here.make_place(scope, now)?;
            }
        }
        let (flow, datagrams) = mpsc::channel(FLOW_QUEUE);
        // It is empty.
        let _ = flow.try_send(waiting);
        let gives_way = CancellationToken::new();
        let number = here.add(ends, flow, gives_way.clone(), now);
        Some(Begun {
            ends,
            datagrams,
            gives_way,
            number,
            all: self.clone(),
        })
    }

    fn waiting(&self, datagram: &[u8]) -> Option<Waiting> {
        // An empty one needs room, too: its place in the queue.
        let bytes = u32::try_from(datagram.len().max(1)).unwrap_or(u32::MAX);
        let room = self.waiting.clone().try_acquire_many_owned(bytes);
        let Ok(room) = room else {
            self.metrics.hit(Hit::FlowBytes);
            return None;
        };
        Some(Waiting {
            bytes: datagram.to_vec(),
            _room: room,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Here> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Here {
    /// The flow of a visitor who speaks again.
    fn known(&mut self, ends: Ends) -> Option<&Flow> {
        let flow = self.flows.get_mut(&ends)?;
        if std::mem::take(&mut flow.is_young) {
            for scope in ends.scopes() {
                self.young.remove(&(scope, flow.number));
            }
        }
        Some(flow)
    }

    fn add(
        &mut self,
        ends: Ends,
        datagrams: mpsc::Sender<Waiting>,
        gives_way: CancellationToken,
        now: Instant,
    ) -> u64 {
        self.begun += 1;
        let number = self.begun;
        for scope in ends.scopes() {
            *self.counts.entry(scope).or_default() += 1;
            self.young.insert((scope, number), ends);
        }
        let flow = Flow {
            number,
            since: now,
            is_young: true,
            datagrams,
            gives_way,
        };
        self.flows.insert(ends, flow);
        number
    }

    /// Ends the oldest flow of one datagram that had its chance; none where there is no such flow.
    fn make_place(&mut self, scope: Scope, now: Instant) -> Option<()> {
        let mut oldest = self.young.range((scope, 0)..=(scope, u64::MAX));
        let ((_, number), ends) = oldest.next()?;
        let (number, ends) = (*number, *ends);
        let flow = self.flows.get(&ends)?;
        if now.duration_since(flow.since) < FLOW_CHANCE {
            return None;
        }
        flow.gives_way.cancel();
        self.over(ends, number);
        Some(())
    }

    /// Once for each flow, whoever comes first.
    fn over(&mut self, ends: Ends, number: u64) {
        if self
            .flows
            .get(&ends)
            .is_none_or(|flow| flow.number != number)
        {
            return;
        }
        self.flows.remove(&ends);
        for scope in ends.scopes() {
            self.young.remove(&(scope, number));
            if let Some(count) = self.counts.get_mut(&scope) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&scope);
                }
            }
        }
    }
}

impl Ends {
    fn scopes(self) -> [Scope; 3] {
        [
            Scope::Address(network(self.visitor.ip())),
            Scope::Port(self.local.port()),
            Scope::All,
        ]
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.all.lock().over(self.ends, self.number);
    }
}

#[cfg(test)]
mod tests;
