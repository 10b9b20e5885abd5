//! Claiming and releasing endpoints: compare, then commit.

use std::collections::BTreeMap;

use model::{
    AccountId, ClaimId, Endpoint, EndpointName, HostPattern, PlacementFact, Revision, Revocation, RevocationFact,
    UnixTime,
};
use store::{Commit, Key, Transaction, Value, layout};

use super::{COMMIT_TRIES, Caller, ClaimWish, Core, names, random_id};
use crate::error::{ControlError, ErrorCode};

/// Endpoints of one account; a list of them fits one answer.
const MAX_ENDPOINTS: usize = 1000;
/// Random names drawn before giving up.
const MAX_DRAWS: u32 = 64;

/// What a try to claim found.
enum Attempt {
    Claimed(Endpoint),
    /// Another account has it.
    Taken,
    /// One's own, of another kind.
    OtherKind(Endpoint),
}

impl Core {
    pub async fn claim(&self, caller: &Caller, wish: &ClaimWish, now: UnixTime) -> Result<Endpoint, ControlError> {
        wish.check(caller, &self.config)?;
        match &wish.name {
            Some(name) => self.claim_named(caller, wish, name, now).await,
            None => self.claim_random(caller, wish, now).await,
        }
    }

    async fn claim_named(
        &self,
        caller: &Caller,
        wish: &ClaimWish,
        name: &EndpointName,
        now: UnixTime,
    ) -> Result<Endpoint, ControlError> {
        match self.try_claim(caller, wish, name, None, now).await? {
            Attempt::Claimed(endpoint) => Ok(endpoint),
            Attempt::Taken => Err(ControlError::new(ErrorCode::NameTaken, format!("{name} belongs to another account"))),
            Attempt::OtherKind(endpoint) => Err(ControlError::new(
                ErrorCode::KindDiffers,
                format!("{name} is yours as {}: release it first (adit admin endpoint release {name})", endpoint.kind),
            )),
        }
    }

    /// The name that was given to this machine and target before, else the first free one of their seed.
    async fn claim_random(&self, caller: &Caller, wish: &ClaimWish, now: UnixTime) -> Result<Endpoint, ControlError> {
        let is_remembered = !wish.machine.is_empty() || !wish.target.is_empty();
        let seed = if is_remembered {
            names::seed(&caller.account, &wish.machine, &wish.target, wish.kind)
        } else {
            names::seed(&caller.account, ClaimId::from_random(random_id()).as_str(), "", wish.kind)
        };
        let memory = is_remembered.then(|| layout::remembered_name(&caller.account, &seed));
        if let Some(key) = &memory
            && let Some((name, _)) = store::get::<EndpointName>(&*self.store, key).await?
            && let Attempt::Claimed(endpoint) = self.try_claim(caller, wish, &name, None, now).await?
        {
            return Ok(endpoint);
        }
        let draws = if wish.kind.is_named() { MAX_DRAWS } else { u32::MAX };
        for name in (0..draws).map_while(|draw| self.draw(wish, &seed, draw)) {
            if wish_for(wish, &name).check(caller, &self.config).is_err() {
                continue;
            }
            // A random name is a new one: one's own for another target is as little wanted as a stranger's.
            if store::get::<Endpoint>(&*self.store, &layout::endpoint(&name)).await?.is_some() {
                continue;
            }
            if let Attempt::Claimed(endpoint) = self.try_claim(caller, wish, &name, memory.as_ref(), now).await? {
                return Ok(endpoint);
            }
        }
        Err(ControlError::new(ErrorCode::NoPortLeft, "no free name or port is left: release one, or ask for one by name"))
    }

    fn draw(&self, wish: &ClaimWish, seed: &[u8; 32], draw: u32) -> Option<EndpointName> {
        if !wish.kind.is_named() {
            return names::port(seed, &self.config.tcp_ports, draw).map(EndpointName::Port);
        }
        let name = self.config.zone.child(&names::label(seed, draw)?).ok()?;
        Some(EndpointName::Host(HostPattern::Exact(name)))
    }

    async fn try_claim(
        &self,
        caller: &Caller,
        wish: &ClaimWish,
        name: &EndpointName,
        memory: Option<&Key>,
        now: UnixTime,
    ) -> Result<Attempt, ControlError> {
        let key = layout::endpoint(name);
        for _ in 0..COMMIT_TRIES {
            if let Some((endpoint, _)) = store::get::<Endpoint>(&*self.store, &key).await? {
                return Ok(match endpoint {
                    other if other.account != caller.account => Attempt::Taken,
                    own if own.kind != wish.kind => Attempt::OtherKind(own),
                    own => Attempt::Claimed(own),
                });
            }
            self.must_have_room(&caller.account).await?;
            let endpoint = new_endpoint(caller, wish, name, now);
            let mut transaction = Transaction::new().if_absent(key.clone()).put(key.clone(), Value::json(&endpoint)?);
            if let Some(memory) = memory {
                transaction = transaction.put(memory.clone(), Value::json(name)?);
            }
            if let Commit::Done(_) = self.store.commit(transaction).await? {
                self.metrics.claims.inc();
                return Ok(Attempt::Claimed(endpoint));
            }
        }
        Err(ControlError::new(ErrorCode::Unavailable, format!("{name} changes hands all the time: try again")))
    }

    async fn must_have_room(&self, account: &AccountId) -> Result<(), ControlError> {
        if self.endpoints_of(account).await?.0.len() < MAX_ENDPOINTS {
            return Ok(());
        }
        self.metrics.bounds.endpoints.inc();
        Err(ControlError::new(ErrorCode::TooMany, "an account has at most 1000 endpoints: release one"))
    }

    /// The endpoints of an account, and the revision at which they were its own.
    pub(crate) async fn endpoints_of(&self, account: &AccountId) -> Result<(Vec<Endpoint>, Revision), ControlError> {
        let (all, revision) = store::list::<Endpoint>(&*self.store, &layout::endpoints()).await?;
        let own = all.into_iter().map(|(_, endpoint)| endpoint).filter(|endpoint| endpoint.account == *account);
        Ok((own.collect(), revision))
    }

    /// The placements of every claim.
    pub(crate) async fn placements(&self) -> Result<BTreeMap<ClaimId, Vec<PlacementFact>>, ControlError> {
        let (all, _) = store::list::<PlacementFact>(&*self.store, &layout::placements()).await?;
        let mut by_claim: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (_, placement) in all {
            for claim in &placement.endpoints {
                by_claim.entry(claim.clone()).or_default().push(placement.clone());
            }
        }
        Ok(by_claim)
    }

    /// Deletes the endpoint and refuses its tokens, in one commit.
    pub async fn release(&self, caller: &Caller, name: &EndpointName, now: UnixTime) -> Result<(), ControlError> {
        let key = layout::endpoint(name);
        for _ in 0..COMMIT_TRIES {
            let found = store::get::<Endpoint>(&*self.store, &key).await?;
            let missing = || ControlError::new(ErrorCode::NotFound, format!("{name} is not claimed"));
            let (endpoint, modified) = found.ok_or_else(missing)?;
            caller.must_own(&endpoint.account)?;
            let revoked = Revocation::Claim(endpoint.claim);
            let fact = RevocationFact { revoked, at: now, until: self.revocation_until(now) };
            let transaction = Transaction::new()
                .if_revision(key.clone(), modified)
                .delete(key.clone())
                .put(layout::revocation(&fact.revoked), Value::json(&fact)?);
            if let Commit::Done(_) = self.store.commit(transaction).await? {
                return Ok(());
            }
        }
        Err(ControlError::new(ErrorCode::Unavailable, format!("{name} changes all the time: try again")))
    }
}

fn new_endpoint(caller: &Caller, wish: &ClaimWish, name: &EndpointName, now: UnixTime) -> Endpoint {
    Endpoint {
        claim: ClaimId::from_random(random_id()),
        account: caller.account.clone(),
        name: name.clone(),
        kind: wish.kind,
        sharing: wish.sharing,
        regions: Vec::new(),
        created: now,
    }
}

fn wish_for(wish: &ClaimWish, name: &EndpointName) -> ClaimWish {
    ClaimWish { name: Some(name.clone()), ..wish.clone() }
}
