//! What of the placements is written, under which lease, and what is not. Pure.

use std::collections::{BTreeMap, BTreeSet};

use model::{PlacementFact, SessionId};
use store::LeaseId;

use crate::bounds::LEASE_KEYS;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    leases: BTreeMap<LeaseId, usize>,
    written: BTreeMap<SessionId, Written>,
    waiting: BTreeSet<SessionId>,
}

#[derive(Debug)]
struct Written {
    lease: LeaseId,
    /// None while nobody knows what the store holds.
    fact: Option<PlacementFact>,
}

impl Ledger {
    /// These may have changed.
    pub(super) fn touch(&mut self, sessions: BTreeSet<SessionId>) {
        self.waiting.extend(sessions);
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn some_waiting(&self, at_most: usize) -> Vec<SessionId> {
        self.waiting.iter().take(at_most).cloned().collect()
    }

    pub(super) fn says(&self, session: &SessionId, fact: &PlacementFact) -> bool {
        self.written
            .get(session)
            .is_some_and(|written| written.fact.as_ref() == Some(fact))
    }

    pub(super) fn knows(&self, session: &SessionId) -> bool {
        self.written.contains_key(session)
    }

    pub(super) fn leases(&self) -> Vec<LeaseId> {
        self.leases.keys().copied().collect()
    }

    /// One that takes a whole transaction and the edge's own fact.
    pub(super) fn lease_with_room(&self) -> Option<LeaseId> {
        let most = LEASE_KEYS - crate::bounds::PLACEMENTS_PER_COMMIT - 1;
        self.leases
            .iter()
            .find(|(_, keys)| **keys <= most)
            .map(|(lease, _)| *lease)
    }

    pub(super) fn granted(&mut self, lease: LeaseId) {
        self.leases.insert(lease, 0);
    }

    /// The session's placement is going to be written: under the lease that it has, or under `lease`.
    pub(super) fn reserve(&mut self, session: &SessionId, lease: LeaseId) -> LeaseId {
        if let Some(written) = self.written.get_mut(session) {
            written.fact = None;
            return written.lease;
        }
        *self.leases.entry(lease).or_default() += 1;
        self.written
            .insert(session.clone(), Written { lease, fact: None });
        lease
    }

    /// The store holds this now.
    pub(super) fn settled(&mut self, facts: Vec<(SessionId, Option<PlacementFact>)>) {
        for (session, fact) in facts {
            self.waiting.remove(&session);
            match (fact, self.written.get_mut(&session)) {
                (Some(fact), Some(written)) => written.fact = Some(fact),
                (None, Some(written)) => {
                    if let Some(keys) = self.leases.get_mut(&written.lease) {
                        *keys = keys.saturating_sub(1);
                    }
                    self.written.remove(&session);
                }
                (_, None) => {}
            }
        }
    }

    /// The lease has ended, and what was written under it is gone.
    pub(super) fn lost(&mut self, lease: LeaseId) {
        self.leases.remove(&lease);
        let (written, waiting) = (&mut self.written, &mut self.waiting);
        written.retain(|session, written| {
            let stays = written.lease != lease;
            if !stays {
                waiting.insert(session.clone());
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use model::UnixTime;

    use super::*;
    use crate::bounds::PLACEMENTS_PER_COMMIT;

    fn lease(id: u64) -> LeaseId {
        LeaseId::new(id).unwrap()
    }

    fn session(id: usize) -> SessionId {
        format!("ses_{id}").parse().unwrap()
    }

    fn fact(id: usize) -> PlacementFact {
        PlacementFact {
            edge: "ams1".parse().unwrap(),
            session: session(id),
            agent: "agt_1".parse().unwrap(),
            endpoints: Vec::new(),
            transport: "quic".into(),
            since: UnixTime::from_secs(1),
        }
    }

    fn write(ledger: &mut Ledger, ids: std::ops::Range<usize>) {
        ledger.touch(ids.clone().map(session).collect());
        for id in ids {
            let lease = ledger.lease_with_room().unwrap();
            ledger.reserve(&session(id), lease);
            ledger.settled(vec![(session(id), Some(fact(id)))]);
        }
    }

    #[test]
    fn a_lease_never_has_more_than_its_keys() {
        let mut ledger = Ledger::default();
        ledger.granted(lease(1));
        write(&mut ledger, 0..LEASE_KEYS - PLACEMENTS_PER_COMMIT);
        assert_eq!(ledger.lease_with_room(), None);
        ledger.granted(lease(2));
        assert_eq!(ledger.lease_with_room(), Some(lease(2)));
        ledger.settled(vec![(session(0), None)]);
        assert_eq!(ledger.lease_with_room(), Some(lease(1)));
    }

    #[test]
    fn what_a_lost_lease_held_waits_again() {
        let mut ledger = Ledger::default();
        ledger.granted(lease(1));
        write(&mut ledger, 0..3);
        assert!(ledger.says(&session(1), &fact(1)) && ledger.waiting() == 0);
        ledger.lost(lease(1));
        assert_eq!(ledger.waiting(), 3);
        assert!(!ledger.knows(&session(1)) && ledger.leases().is_empty());
    }

    #[test]
    fn what_may_have_been_written_is_known() {
        let mut ledger = Ledger::default();
        ledger.granted(lease(1));
        ledger.reserve(&session(1), lease(1));
        assert!(ledger.knows(&session(1)) && !ledger.says(&session(1), &fact(1)));
    }
}
