//! What the control plane knows of the world without asking: a fold over `public/`.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    AccountId, ClaimId, EdgeFact, EdgeId, Endpoint, EndpointName, PlacementFact, Revision,
    Revocation, RevocationFact, SessionId,
};
use store::{Change, Entry, Event, Fact, FactError, FactKey, Fold};
use token::Revocations;

type PlacementKey = (EdgeId, SessionId);

#[derive(Debug, Default)]
pub(crate) struct Facts {
    endpoints: BTreeMap<EndpointName, Known>,
    by_account: BTreeMap<AccountId, BTreeSet<EndpointName>>,
    by_claim: BTreeMap<ClaimId, EndpointName>,
    edges: BTreeMap<EdgeId, EdgeFact>,
    placements: BTreeMap<PlacementKey, PlacementFact>,
    placed: BTreeMap<ClaimId, BTreeSet<PlacementKey>>,
    revocations: Revocations,
    /// When all tokens of an account or a claim were last revoked.
    revoked: BTreeMap<Revocation, RevocationFact>,
    revoked_ids: usize,
}

/// An endpoint and the revision of its last change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) endpoint: Endpoint,
    pub(crate) modified: Revision,
}

impl Facts {
    /// From a list of everything under `public/`.
    pub(crate) fn of(entries: Vec<Entry>) -> Self {
        let mut facts = Self::default();
        facts.reset(entries);
        facts
    }

    pub(crate) fn claim(&self, claim: &ClaimId) -> Option<&Known> {
        self.endpoints.get(self.by_claim.get(claim)?)
    }

    /// The endpoints of an account, in the order of their names.
    pub(crate) fn endpoints_of(&self, account: &AccountId) -> impl Iterator<Item = &Known> {
        let names = self.by_account.get(account).into_iter().flatten();
        names.filter_map(|name| self.endpoints.get(name))
    }

    pub(crate) fn count_of(&self, account: &AccountId) -> usize {
        self.by_account.get(account).map_or(0, BTreeSet::len)
    }

    /// In the order of their ids.
    pub(crate) fn edges(&self) -> impl Iterator<Item = &EdgeFact> {
        self.edges.values()
    }

    pub(crate) fn placements_of(&self, claim: &ClaimId) -> impl Iterator<Item = &PlacementFact> {
        let keys = self.placed.get(claim).into_iter().flatten();
        keys.filter_map(|key| self.placements.get(key))
    }

    pub(crate) fn sessions_by_edge(&self) -> BTreeMap<EdgeId, usize> {
        let mut by_edge = BTreeMap::new();
        for (edge, _) in self.placements.keys() {
            *by_edge.entry(edge.clone()).or_default() += 1;
        }
        by_edge
    }

    pub(crate) const fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// Tokens and grants that are revoked by their id.
    pub(crate) const fn revoked_ids(&self) -> usize {
        self.revoked_ids
    }

    /// The last revocation that touches every token of an account, or of one of its claims.
    pub(crate) fn last_revocation_of(&self, account: &AccountId) -> Option<&RevocationFact> {
        let of_account = Revocation::Account(account.clone());
        let of_claims = self
            .endpoints_of(account)
            .map(|known| Revocation::Claim(known.endpoint.claim.clone()));
        let touching = std::iter::once(of_account).chain(of_claims);
        touching
            .filter_map(|revoked| self.revoked.get(&revoked))
            .max_by_key(|fact| fact.at)
    }

    fn take(&mut self, fact: Fact, modified: Revision) {
        self.forget(&fact.name());
        match fact {
            Fact::Edge(edge) => drop(self.edges.insert(edge.id.clone(), edge)),
            Fact::Endpoint(endpoint) => self.take_endpoint(endpoint, modified),
            Fact::Placement(placement) => self.take_placement(placement),
            Fact::Revocation(fact) => self.take_revocation(fact),
            // The key ring is read from where the private halves are.
            Fact::Jwk(..) => {}
        }
    }

    fn take_endpoint(&mut self, endpoint: Endpoint, modified: Revision) {
        let name = endpoint.name.clone();
        let of_account = self.by_account.entry(endpoint.account.clone());
        of_account.or_default().insert(name.clone());
        self.by_claim.insert(endpoint.claim.clone(), name.clone());
        let known = Known { endpoint, modified };
        self.endpoints.insert(name, known);
    }

    fn take_placement(&mut self, placement: PlacementFact) {
        let key = (placement.edge.clone(), placement.session.clone());
        for claim in &placement.endpoints {
            let placed = self.placed.entry(claim.clone()).or_default();
            placed.insert(key.clone());
        }
        self.placements.insert(key, placement);
    }

    fn take_revocation(&mut self, fact: RevocationFact) {
        self.revoked_ids += usize::from(is_id(&fact.revoked));
        self.revocations.insert(fact.clone());
        self.revoked.insert(fact.revoked.clone(), fact);
    }

    fn forget(&mut self, what: &FactKey) {
        match what {
            FactKey::Edge(id) => drop(self.edges.remove(id)),
            FactKey::Endpoint(name) => self.forget_endpoint(name),
            FactKey::Placement(edge, session) => {
                self.forget_placement(&(edge.clone(), session.clone()));
            }
            FactKey::Revocation(revoked) => {
                if self.revoked.remove(revoked).is_some() {
                    self.revoked_ids -= usize::from(is_id(revoked));
                    self.revocations.remove(revoked);
                }
            }
            FactKey::Jwk(_) => {}
        }
    }

    fn forget_endpoint(&mut self, name: &EndpointName) {
        let Some(Known { endpoint, .. }) = self.endpoints.remove(name) else {
            return;
        };
        self.by_claim.remove(&endpoint.claim);
        if let Some(names) = self.by_account.get_mut(&endpoint.account) {
            names.remove(name);
            if names.is_empty() {
                self.by_account.remove(&endpoint.account);
            }
        }
    }

    fn forget_placement(&mut self, key: &PlacementKey) {
        let Some(placement) = self.placements.remove(key) else {
            return;
        };
        for claim in &placement.endpoints {
            if let Some(keys) = self.placed.get_mut(claim) {
                keys.remove(key);
                if keys.is_empty() {
                    self.placed.remove(claim);
                }
            }
        }
    }
}

impl Fold for Facts {
    fn reset(&mut self, entries: Vec<Entry>) {
        *self = Self::default();
        for entry in entries {
            self.read(&entry);
        }
    }

    fn apply(&mut self, event: &Event) {
        match &event.change {
            Change::Put(entry) => self.read(entry),
            Change::Delete(key) => {
                if let Ok(what) = FactKey::parse(key) {
                    self.forget(&what);
                }
            }
        }
    }
}

impl Facts {
    fn read(&mut self, entry: &Entry) {
        match Fact::parse(entry) {
            Ok(fact) => self.take(fact, entry.modified),
            // Of a newer version, which this one need not know.
            Err(FactError::Unknown(_)) => {}
            Err(error) => tracing::warn!(%error, "a fact is passed over"),
        }
    }
}

const fn is_id(revoked: &Revocation) -> bool {
    matches!(revoked, Revocation::Token(_) | Revocation::Grant(_))
}

#[cfg(test)]
mod tests {
    use model::{Kind, Sharing, UnixTime};
    use proptest::prelude::*;
    use store::Value;

    use super::*;

    /// Some fact of a small world, so that facts meet.
    fn fact() -> impl Strategy<Value = Fact> {
        let endpoint = (0u8..3, 0u8..6, 0u8..2).prop_map(|(name, claim, account)| {
            Fact::Endpoint(Endpoint {
                claim: format!("clm_{claim}{name}").parse().unwrap(),
                account: format!("acc_{account}").parse().unwrap(),
                name: format!("n{name}.example").parse().unwrap(),
                kind: Kind::Http,
                sharing: Sharing::Exclusive,
                regions: Vec::new(),
                created: UnixTime::from_secs(1),
            })
        });
        let claims = prop::collection::btree_set(0u8..6, 0..3);
        let placement = (0u8..2, 0u8..3, claims).prop_map(|(edge, session, claims)| {
            let claims = claims.iter().map(|n| format!("clm_{n}0").parse().unwrap());
            Fact::Placement(PlacementFact {
                edge: format!("e{edge}").parse().unwrap(),
                session: format!("ses_{session}").parse().unwrap(),
                agent: "agt_1".parse().unwrap(),
                endpoints: claims.collect(),
                transport: "quic".into(),
                since: UnixTime::from_secs(1),
            })
        });
        let revocation = (0u8..3, 0u8..3, 1u64..9).prop_map(|(kind, id, at)| {
            let revoked = match kind {
                0 => Revocation::Token(format!("tok_{id}").parse().unwrap()),
                1 => Revocation::Claim(format!("clm_{id}0").parse().unwrap()),
                _ => Revocation::Account(format!("acc_{id}").parse().unwrap()),
            };
            Fact::Revocation(RevocationFact {
                revoked,
                at: UnixTime::from_secs(at),
                until: UnixTime::from_secs(at + 9),
            })
        });
        prop_oneof![endpoint, placement, revocation]
    }

    fn entry(fact: &Fact, modified: Revision) -> Entry {
        let value = match fact {
            Fact::Endpoint(fact) => Value::json(fact),
            Fact::Placement(fact) => Value::json(fact),
            Fact::Revocation(fact) => Value::json(fact),
            Fact::Edge(_) | Fact::Jwk(..) => unreachable!("not made above"),
        };
        Entry {
            key: fact.name().key(),
            value: value.unwrap().bytes().clone(),
            created: modified,
            modified,
            lease: None,
        }
    }

    proptest! {
        /// Whatever order facts come and go in, the fold is what a fresh list of those that are left gives.
        #[test]
        fn every_index_follows_its_facts(steps in prop::collection::vec((fact(), any::<bool>()), 0..40)) {
            let mut followed = Facts::default();
            let mut left: BTreeMap<FactKey, Entry> = BTreeMap::new();
            let mut revision = Revision::ZERO;
            for (fact, put) in steps {
                revision = revision.next();
                let entry = entry(&fact, revision);
                let change = if put {
                    left.insert(fact.name(), entry.clone());
                    Change::Put(entry)
                } else {
                    left.remove(&fact.name());
                    Change::Delete(entry.key)
                };
                followed.apply(&Event { revision, change });
            }
            let fresh = Facts::of(left.into_values().collect());
            prop_assert_eq!(format!("{followed:?}"), format!("{fresh:?}"));
            let ids = fresh.revoked.keys().filter(|revoked| is_id(revoked)).count();
            prop_assert_eq!(fresh.revoked_ids(), ids);
        }
    }
}
