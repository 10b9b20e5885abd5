//! What the edge knows of the world: a fold over `public/`.
//!
//! [`Facts`] is plain data. [`Follow`] keeps it up to date and tells the sessions, inside the very step, what was taken from
//! them: who reads the facts and finds nothing against a session may bind it before the next step, and never misses one.

use std::{
    collections::{BTreeMap, HashMap},
    ops::RangeInclusive,
    sync::Arc,
};

use model::{EdgeFact, EdgeId, Endpoint, EndpointName, HostPattern, Hostname, KeyId, Kind};
use store::{Change, Entry, Event, Fact, FactError, FactKey, Fold};
use token::{KeySet, PublicKey, Revocations};

use crate::session::Sessions;

#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    keys: Arc<KeySet>,
    pub(crate) revocations: Revocations,
    endpoints: HashMap<EndpointName, Endpoint>,
    edges: BTreeMap<EdgeId, EdgeFact>,
    /// Claimed `tcp` and `udp` ports, and how often that changed.
    ports: BTreeMap<u16, Kind>,
    ports_version: u64,
}

#[derive(Debug)]
pub(crate) struct Follow {
    facts: Facts,
    sessions: Arc<Sessions>,
    /// The entries behind the facts, where they are to be written into a snapshot.
    kept: Option<Kept>,
}

/// Placements are left out: they end with the leases of other edges.
#[derive(Debug, Default)]
struct Kept {
    entries: BTreeMap<store::Key, Entry>,
    version: u64,
}

impl Kept {
    fn put(&mut self, entry: &Entry) {
        if !matches!(FactKey::parse(&entry.key), Ok(FactKey::Placement(..))) {
            self.entries.insert(entry.key.clone(), entry.clone());
            self.version += 1;
        }
    }

    fn delete(&mut self, key: &store::Key) {
        if self.entries.remove(key).is_some() {
            self.version += 1;
        }
    }
}

impl Facts {
    /// To be used outside the replica's lock: checking a signature takes its time.
    pub(crate) fn keys(&self) -> Arc<KeySet> {
        self.keys.clone()
    }

    pub(crate) fn endpoint(&self, name: &EndpointName) -> Option<&Endpoint> {
        self.endpoints.get(name)
    }

    /// The claimed endpoint that decides what becomes of `name`: an exact claim beats a wildcard.
    pub(crate) fn governing(&self, name: &Hostname) -> Option<&Endpoint> {
        HostPattern::candidates(name)
            .find_map(|pattern| self.endpoints.get(&EndpointName::Host(pattern)))
    }

    /// URLs of edges other than `own` that take sessions, for agents.
    pub(crate) fn other_edges(&self, own: &EdgeId) -> Vec<String> {
        let others = self
            .edges
            .values()
            .filter(|edge| edge.id != *own && !edge.draining);
        others
            .map(|edge| edge.url.clone())
            .take(tunnel::limits::EDGES)
            .collect()
    }

    pub(crate) const fn ports_version(&self) -> u64 {
        self.ports_version
    }

    pub(crate) fn ports(&self, within: &RangeInclusive<u16>) -> BTreeMap<u16, Kind> {
        if within.is_empty() {
            return BTreeMap::new();
        }
        let claimed = self.ports.range(within.clone());
        claimed.map(|(port, kind)| (*port, *kind)).collect()
    }

    pub(crate) fn take(&mut self, fact: Fact) {
        match fact {
            Fact::Edge(edge) => {
                self.edges.insert(edge.id.clone(), edge);
            }
            Fact::Endpoint(endpoint) => self.take_endpoint(endpoint),
            Fact::Jwk(id, json) => self.take_key(&id, json),
            Fact::Revocation(fact) => self.revocations.insert(fact),
            // Of use only to a relay between edges.
            Fact::Placement(_) => {}
        }
    }

    pub(crate) fn forget(&mut self, what: &FactKey) {
        match what {
            FactKey::Edge(id) => {
                self.edges.remove(id);
            }
            FactKey::Endpoint(name) => {
                self.endpoints.remove(name);
                self.forget_port(name);
            }
            FactKey::Jwk(id) => Arc::make_mut(&mut self.keys).remove(id),
            FactKey::Revocation(revoked) => self.revocations.remove(revoked),
            FactKey::Placement(..) => {}
        }
    }

    fn take_endpoint(&mut self, endpoint: Endpoint) {
        let port = endpoint.name.port();
        let was = port.and_then(|port| self.ports.insert(port, endpoint.kind));
        if port.is_some() && was != Some(endpoint.kind) {
            self.ports_version += 1;
        }
        self.endpoints.insert(endpoint.name.clone(), endpoint);
    }

    fn forget_port(&mut self, name: &EndpointName) {
        let known = name.port().and_then(|port| self.ports.remove(&port));
        if known.is_some() {
            self.ports_version += 1;
        }
    }

    fn take_key(&mut self, id: &KeyId, json: serde_json::Value) {
        let keys = Arc::make_mut(&mut self.keys);
        match serde_json::from_value::<PublicKey>(json) {
            Ok(key) if key.id() == id => keys.insert(key),
            Ok(_) => keys.remove(id),
            Err(error) => {
                tracing::warn!(%id, %error, "a signing key cannot be read");
                keys.remove(id);
            }
        }
    }
}

impl Follow {
    pub(crate) fn new(sessions: Arc<Sessions>, keeps: bool) -> Self {
        Self {
            facts: Facts::default(),
            sessions,
            kept: keeps.then(Kept::default),
        }
    }

    /// Another number whenever the entries are others, and the entries.
    pub(crate) fn kept(&self) -> (u64, Vec<Entry>) {
        self.kept.as_ref().map_or_else(Default::default, |kept| {
            (kept.version, kept.entries.values().cloned().collect())
        })
    }

    pub(crate) const fn facts(&self) -> &Facts {
        &self.facts
    }

    fn put(&mut self, entry: &Entry) {
        match Fact::parse(entry) {
            Ok(fact) => {
                match &fact {
                    Fact::Revocation(revoked) => self.sessions.revoked(revoked),
                    Fact::Endpoint(endpoint) => {
                        self.sessions
                            .endpoint_changed(&endpoint.name, Some(endpoint));
                    }
                    Fact::Edge(_) | Fact::Placement(_) | Fact::Jwk(..) => {}
                }
                self.facts.take(fact);
            }
            Err(FactError::Unknown(_)) => {}
            Err(error) => {
                tracing::warn!(%error, "a public fact is passed over");
                self.delete(&entry.key);
            }
        }
    }

    fn delete(&mut self, key: &store::Key) {
        let Ok(what) = FactKey::parse(key) else {
            return;
        };
        if let FactKey::Endpoint(name) = &what {
            self.sessions.endpoint_changed(name, None);
        }
        self.facts.forget(&what);
    }
}

impl Fold for Follow {
    fn reset(&mut self, entries: Vec<Entry>) {
        // Goes on counting, so that nobody takes the new ports for the ones he knows.
        let ports_version = self.facts.ports_version + 1;
        self.facts = Facts {
            ports_version,
            ..Facts::default()
        };
        if let Some(kept) = &mut self.kept {
            kept.entries.clear();
            kept.version += 1;
            entries.iter().for_each(|entry| kept.put(entry));
        }
        for entry in entries {
            match Fact::parse(&entry) {
                Ok(fact) => self.facts.take(fact),
                Err(FactError::Unknown(_)) => {}
                Err(error) => tracing::warn!(%error, "a public fact is passed over"),
            }
        }
        self.sessions.recheck(&self.facts);
    }

    fn apply(&mut self, event: &Event) {
        match &event.change {
            Change::Put(entry) => {
                if let Some(kept) = &mut self.kept {
                    kept.put(entry);
                }
                self.put(entry);
            }
            Change::Delete(key) => {
                if let Some(kept) = &mut self.kept {
                    kept.delete(key);
                }
                self.delete(key);
            }
        }
    }
}
