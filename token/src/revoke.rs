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

    /// Refuses claims that something revokes, and says what. A revoked token or grant is dead whatever its times say, since
    /// its id never comes again and two issuers' clocks may differ; a claim or an account goes on, and so refuses only what
    /// was issued until then. A token issued in the very second of a revocation is refused as well: which came first cannot
    /// be told.
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
        let mut all = others.into_iter().chain(named);
        all.find(|what| self.hits(what, claims.issued))
            .map_or(Ok(()), Err)
    }

    fn hits(&self, what: &Revocation, issued: UnixTime) -> bool {
        self.0.get(what).is_some_and(|fact| match what {
            Revocation::Token(_) | Revocation::Grant(_) => true,
            Revocation::Claim(_) | Revocation::Account(_) => issued <= fact.at,
        })
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

    fn revoked(what: &Revocation, at: u64) -> Revocations {
        let mut revocations = Revocations::default();
        revocations.insert(fact(what.clone(), at));
        revocations
    }

    fn of(claims: &Claims) -> [Revocation; 4] {
        [
            Revocation::Token(claims.id.clone()),
            Revocation::Grant(claims.grant_id.clone()),
            Revocation::Claim(claims.grant.endpoints[0].claim.clone()),
            Revocation::Account(claims.account.clone()),
        ]
    }

    #[test]
    fn each_kind_hits_what_it_names() {
        let claims = claims();
        for what in of(&claims) {
            let mut revocations = revoked(&what, claims.issued.as_secs());
            assert_eq!(revocations.check(&claims), Err(what.clone()));
            revocations.remove(&what);
            assert!(revocations.is_empty());
            assert_eq!(revocations.check(&claims), Ok(()));
        }
    }

    #[test]
    fn one_revoked_endpoint_of_several_is_enough() {
        let mut claims = claims();
        let mut second = claims.grant.endpoints[0].clone();
        second.claim = "clm_second".parse().unwrap();
        claims.grant.endpoints.push(second);
        let what = Revocation::Claim("clm_second".parse().unwrap());
        let revocations = revoked(&what, claims.issued.as_secs());
        assert_eq!(revocations.check(&claims), Err(what));
    }

    #[test]
    fn claims_and_accounts_go_on_after_it_but_tokens_and_grants_are_dead() {
        let claims = claims();
        let before = claims.issued.as_secs() - 1;
        let [token, grant, claim, account] = of(&claims);
        for dead in [token, grant] {
            assert_eq!(revoked(&dead, before).check(&claims), Err(dead));
        }
        for epoch in [claim, account] {
            assert_eq!(revoked(&epoch, before).check(&claims), Ok(()));
        }
    }

    #[test]
    fn the_same_id_of_another_kind_does_not_hit() {
        let (claims, id) = (claims(), claims().id.to_string());
        let mut others = Revocations::default();
        for what in [
            Revocation::Token("tok_other".parse().unwrap()),
            Revocation::Grant(id.parse().unwrap()),
            Revocation::Claim(id.parse().unwrap()),
            Revocation::Account(id.parse().unwrap()),
        ] {
            others.insert(fact(what, claims.issued.as_secs()));
        }
        assert_eq!(others.check(&claims), Ok(()));
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let what = of(&claims())[0].clone();
        let mut revocations = revoked(&what, 5000);
        revocations.prune(UnixTime::from_secs(5999));
        assert_eq!(revocations.len(), 1);
        revocations.prune(UnixTime::from_secs(6000));
        assert!(revocations.is_empty());
    }
}
