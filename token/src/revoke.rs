//! What has been revoked, folded from the facts under `public/revocation/`.

use std::collections::BTreeMap;

use model::{Revocation, RevocationFact, UnixTime};

use crate::Claims;

#[derive(Clone, Debug, Default)]
pub struct Revocations(BTreeMap<Revocation, RevocationFact>);

impl Revocations {
    pub fn insert(&mut self, fact: RevocationFact) {
        self.0.insert(fact.revoked.clone(), fact);
    }

    pub fn remove(&mut self, revoked: &Revocation) {
        self.0.remove(revoked);
    }

    /// Refuses claims that something revokes, and says what. A token issued in the very second of a revocation is
    /// refused as well: which came first cannot be told.
    pub fn check(&self, claims: &Claims) -> Result<(), Revocation> {
        let named = claims
            .grant
            .endpoints
            .iter()
            .map(|e| Revocation::Claim(e.claim.clone()));
        let others = [
            Revocation::Token(claims.id.clone()),
            Revocation::Grant(claims.grant_id.clone()),
            Revocation::Account(claims.account.clone()),
        ];
        let hit = others.into_iter().chain(named).find(|what| {
            self.0
                .get(what)
                .is_some_and(|fact| claims.issued <= fact.at)
        });
        hit.map_or(Ok(()), Err)
    }

    /// Forgets what can touch no living token or session any more.
    pub fn prune(&mut self, now: UnixTime) {
        self.0.retain(|_, fact| fact.until > now);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::claims;

    fn fact(revoked: Revocation, at: u64) -> RevocationFact {
        RevocationFact {
            revoked,
            at: UnixTime::from_secs(at),
            until: UnixTime::from_secs(at + 1000),
        }
    }

    #[test]
    fn each_kind_hits_what_it_names_and_nothing_else() {
        let claims = claims();
        let issued = claims.issued.as_secs();
        let hits = [
            Revocation::Token(claims.id.clone()),
            Revocation::Grant(claims.grant_id.clone()),
            Revocation::Claim(claims.grant.endpoints[0].claim.clone()),
            Revocation::Account(claims.account.clone()),
        ];
        for what in hits {
            let mut revocations = Revocations::default();
            revocations.insert(fact(what.clone(), issued));
            assert_eq!(revocations.check(&claims), Err(what.clone()));
            revocations.insert(fact(what.clone(), issued - 1));
            assert_eq!(
                revocations.check(&claims),
                Ok(()),
                "issued after the revocation"
            );
            revocations.remove(&what);
            assert!(revocations.is_empty());
        }
        let mut others = Revocations::default();
        others.insert(fact(
            Revocation::Token("tok_other".parse().unwrap()),
            issued,
        ));
        others.insert(fact(
            Revocation::Account("acc_other".parse().unwrap()),
            issued,
        ));
        assert_eq!(others.check(&claims), Ok(()));
        others.prune(UnixTime::from_secs(issued + 1000));
        assert!(others.is_empty());
    }
}
