//! The facts under `public/`, parsed once where they come in: the key into what it names, the entry into what it says.

use model::{
    EdgeFact, EdgeId, Endpoint, EndpointName, HostPattern, KeyId, PlacementFact, Revocation,
    RevocationFact, SessionId,
};

use crate::{Entry, Key, StoreError, layout};

/// What a public key is about; all there is to know of a fact that was deleted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FactKey {
    Edge(EdgeId),
    Placement(EdgeId, SessionId),
    Endpoint(EndpointName),
    Jwk(KeyId),
    Revocation(Revocation),
}

/// A fact under `public/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    Edge(EdgeFact),
    Placement(PlacementFact),
    Endpoint(Endpoint),
    /// A JSON Web Key, left as JSON: whoever verifies knows how to read it.
    Jwk(KeyId, serde_json::Value),
    Revocation(RevocationFact),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactError {
    /// Written by a newer program, or not under `public/`: pass over it.
    #[error("{0} is not a fact this program knows")]
    Unknown(Key),
    /// The key and what stands in it disagree, so neither is believed.
    #[error("{0} holds a fact about something else")]
    Mismatch(Key),
    #[error(transparent)]
    Value(#[from] StoreError),
}

impl FactKey {
    /// Only the one spelling that `layout` gives is a fact's key.
    pub fn parse(key: &Key) -> Result<Self, FactError> {
        split(key)
            .filter(|fact| fact.key() == *key)
            .ok_or_else(|| FactError::Unknown(key.clone()))
    }

    pub fn key(&self) -> Key {
        match self {
            Self::Edge(id) => layout::edge(id),
            Self::Placement(edge, session) => layout::placement(edge, session),
            Self::Endpoint(name) => layout::endpoint(name),
            Self::Jwk(id) => layout::jwk(id),
            Self::Revocation(revoked) => layout::revocation(revoked),
        }
    }
}

impl Fact {
    pub fn parse(entry: &Entry) -> Result<Self, FactError> {
        let name = FactKey::parse(&entry.key)?;
        let fact = match &name {
            FactKey::Edge(_) => Self::Edge(entry.json()?),
            FactKey::Placement(..) => Self::Placement(entry.json()?),
            FactKey::Endpoint(_) => Self::Endpoint(entry.json()?),
            FactKey::Jwk(id) => Self::Jwk(id.clone(), entry.json()?),
            FactKey::Revocation(_) => Self::Revocation(entry.json()?),
        };
        if fact.name() == name {
            Ok(fact)
        } else {
            Err(FactError::Mismatch(entry.key.clone()))
        }
    }

    /// What the fact itself says it is about.
    pub fn name(&self) -> FactKey {
        match self {
            Self::Edge(fact) => FactKey::Edge(fact.id.clone()),
            Self::Placement(fact) => FactKey::Placement(fact.edge.clone(), fact.session.clone()),
            Self::Endpoint(fact) => FactKey::Endpoint(fact.name.clone()),
            Self::Jwk(id, _) => FactKey::Jwk(id.clone()),
            Self::Revocation(fact) => FactKey::Revocation(fact.revoked.clone()),
        }
    }
}

fn split(key: &Key) -> Option<FactKey> {
    let parts: Vec<&str> = key.segments().collect();
    Some(match parts.as_slice() {
        ["public", "edge", id] => FactKey::Edge(id.parse().ok()?),
        ["public", "placement", edge, session] => {
            FactKey::Placement(edge.parse().ok()?, session.parse().ok()?)
        }
        ["public", "endpoint", "host", name] => {
            FactKey::Endpoint(EndpointName::Host(name.parse::<HostPattern>().ok()?))
        }
        ["public", "endpoint", "port", port] => FactKey::Endpoint(EndpointName::Port(
            port.parse().ok().filter(|port| *port > 0)?,
        )),
        ["public", "jwks", id] => FactKey::Jwk(id.parse().ok()?),
        ["public", "revocation", kind, id] => FactKey::Revocation(revocation(kind, id)?),
        _ => return None,
    })
}

fn revocation(kind: &str, id: &str) -> Option<Revocation> {
    Some(match kind {
        "token" => Revocation::Token(id.parse().ok()?),
        "grant" => Revocation::Grant(id.parse().ok()?),
        "claim" => Revocation::Claim(id.parse().ok()?),
        "account" => Revocation::Account(id.parse().ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use model::{Kind, Revision, Sharing, UnixTime};
    use proptest::prelude::*;

    use super::*;

    fn entry(key: &str, value: impl Into<Bytes>) -> Entry {
        Entry {
            key: key.parse().unwrap(),
            value: value.into(),
            created: Revision(1),
            modified: Revision(1),
            lease: None,
        }
    }

    fn endpoint(name: &str) -> Vec<u8> {
        let fact = Endpoint {
            claim: "clm_1".parse().unwrap(),
            account: "acc_1".parse().unwrap(),
            name: name.parse().unwrap(),
            kind: Kind::Http,
            sharing: Sharing::Exclusive,
            regions: Vec::new(),
            created: UnixTime::from_secs(1),
        };
        serde_json::to_vec(&fact).unwrap()
    }

    #[test]
    fn a_fact_must_agree_with_its_key() {
        let key = "public/endpoint/host/a.example";
        assert!(Fact::parse(&entry(key, endpoint("a.example"))).is_ok());
        let wrong = Fact::parse(&entry(key, endpoint("b.example")));
        assert_eq!(wrong, Err(FactError::Mismatch(key.parse().unwrap())));
    }

    #[test]
    fn every_kind_parses() {
        let revoked = RevocationFact {
            revoked: Revocation::Grant("grt_1".parse().unwrap()),
            at: UnixTime::from_secs(1),
            until: UnixTime::from_secs(2),
        };
        let json = serde_json::to_vec(&revoked).unwrap();
        let parsed = Fact::parse(&entry("public/revocation/grant/grt_1", json));
        assert_eq!(parsed, Ok(Fact::Revocation(revoked)));
        let jwk = Fact::parse(&entry("public/jwks/kid_1", "{\"kty\":\"OKP\"}")).unwrap();
        assert_eq!(jwk.name(), FactKey::Jwk("kid_1".parse().unwrap()));
        let edge = r#"{"id":"e1","region":"local","url":"https://x","draining":false,"started":1}"#;
        assert!(Fact::parse(&entry("public/edge/e1", edge)).is_ok());
        assert!(Fact::parse(&entry("public/edge/e2", edge)).is_err());
        let placement = r#"{"edge":"e1","session":"s1","agent":"a1","endpoints":["c1"],"transport":"quic","since":1}"#;
        assert!(Fact::parse(&entry("public/placement/e1/s1", placement)).is_ok());
        assert!(Fact::parse(&entry("public/placement/e1/s2", placement)).is_err());
    }

    #[test]
    fn a_second_spelling_is_no_fact() {
        for other in [
            "public/endpoint/port/007",
            "public/endpoint/port/0",
            "public/endpoint/host/A.example",
            "public/endpoint/host/a.example.",
            "public/zone/x",
            "account/a/profile",
        ] {
            let key: Key = other.parse().unwrap();
            assert_eq!(FactKey::parse(&key), Err(FactError::Unknown(key.clone())));
        }
    }

    proptest! {
        #[test]
        fn no_key_or_value_panics(
            key in "public/(edge|placement|endpoint|jwks|revocation|x)(/(host|port|token|claim|[a-z0-9*.]{1,6})){1,3}",
            value in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let entry = entry(&key, value);
            if let Ok(fact) = Fact::parse(&entry) {
                prop_assert_eq!(fact.name().key(), entry.key.clone());
            }
            if let Ok(name) = FactKey::parse(&entry.key) {
                prop_assert_eq!(name.key(), entry.key);
            }
        }
    }
}
