//! Claiming and releasing endpoints: compare, then commit.

use std::collections::BTreeMap;

use model::{
    AccountId, ClaimId, EdgeId, Endpoint, EndpointName, HostPattern, PlacementFact, Revision,
    Revocation, RevocationFact, UnixTime,
};
use store::{Commit, Key, Transaction, Value, layout};

use super::{
    COMMIT_TRIES, Caller, ClaimWish, Core,
    audit::{Action, Deed},
    facts::Facts,
    names, random_id,
};
use crate::{
    error::{ControlError, ErrorCode},
    metrics::Hit,
};

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

/// Where the random name of a machine and target is kept, as it was when it was read: of claims that are made at once
/// for one target, only one may decide the name.
struct Memory {
    key: Key,
    seen: Option<Revision>,
}

impl Core {
    pub async fn claim(
        &self,
        caller: &Caller,
        wish: &ClaimWish,
        now: UnixTime,
    ) -> Result<Endpoint, ControlError> {
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
        match self.try_claim(caller, wish, name, now).await? {
            Attempt::Claimed(endpoint) => Ok(endpoint),
            Attempt::Taken => Err(ControlError::new(
                ErrorCode::NameTaken,
                format!("{name} belongs to another account"),
            )),
            Attempt::OtherKind(endpoint) => Err(ControlError::new(
                ErrorCode::KindDiffers,
                format!(
                    "{name} is yours as {}: release it first (adit admin endpoint release {name})",
                    endpoint.kind
                ),
            )),
        }
    }

    /// The name that was given to this machine and target before, else the first free one of their seed.
    async fn claim_random(
        &self,
        caller: &Caller,
        wish: &ClaimWish,
        now: UnixTime,
    ) -> Result<Endpoint, ControlError> {
        let is_remembered = !wish.machine.is_empty() || !wish.target.is_empty();
        let seed = if is_remembered {
            names::seed(&caller.account, &wish.machine, &wish.target, wish.kind)
        } else {
            names::seed(
                &caller.account,
                ClaimId::from_random(random_id()).as_str(),
                "",
                wish.kind,
            )
        };
        let memory = is_remembered.then(|| layout::remembered_name(&caller.account, &seed));
        for _ in 0..COMMIT_TRIES {
            let known: Option<(EndpointName, Revision)> = match &memory {
                Some(key) => store::get(&*self.store, key).await?,
                None => None,
            };
            if let Some((name, _)) = &known
                && wish_for(wish, name).check(caller, &self.config).is_ok()
                && let Attempt::Claimed(endpoint) = self.try_claim(caller, wish, name, now).await?
            {
                return Ok(endpoint);
            }
            let memory = memory.clone().map(|key| Memory {
                key,
                seen: known.map(|(_, modified)| modified),
            });
            if let Some(endpoint) = self
                .claim_drawn(caller, wish, &seed, memory.as_ref(), now)
                .await?
            {
                return Ok(endpoint);
            }
        }
        self.metrics.hit(Hit::CommitTries);
        Err(ControlError::new(
            ErrorCode::Unavailable,
            "others claim at the same time: try again",
        ))
    }

    /// The first free name of the seed; none when someone else was faster and the memory must be read again.
    async fn claim_drawn(
        &self,
        caller: &Caller,
        wish: &ClaimWish,
        seed: &[u8; 32],
        memory: Option<&Memory>,
        now: UnixTime,
    ) -> Result<Option<Endpoint>, ControlError> {
        let draws = if wish.kind.is_named() {
            MAX_DRAWS
        } else {
            u32::MAX
        };
        for name in (0..draws).map_while(|draw| self.draw(wish, seed, draw)) {
            if wish_for(wish, &name).check(caller, &self.config).is_err() {
                continue;
            }
            // A random name is a new one: one's own for another target is as little wanted as a stranger's.
            if store::get::<Endpoint>(&*self.store, &layout::endpoint(&name))
                .await?
                .is_some()
            {
                continue;
            }
            let claimed = self.commit_claim(caller, wish, &name, memory, now).await?;
            if claimed.is_some() || memory.is_some() {
                return Ok(claimed);
            }
        }
        self.metrics.hit(Hit::Draws);
        Err(ControlError::new(
            ErrorCode::NoPortLeft,
            "no free name or port is left: release one, or ask for one by name",
        ))
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
            if let Some(endpoint) = self.commit_claim(caller, wish, name, None, now).await? {
                return Ok(Attempt::Claimed(endpoint));
            }
        }
        self.metrics.hit(Hit::CommitTries);
        Err(ControlError::new(
            ErrorCode::Unavailable,
            format!("{name} changes hands all the time: try again"),
        ))
    }

    /// Claims a name that was free a moment ago; none when it, or the memory, has changed since.
    async fn commit_claim(
        &self,
        caller: &Caller,
        wish: &ClaimWish,
        name: &EndpointName,
        memory: Option<&Memory>,
        now: UnixTime,
    ) -> Result<Option<Endpoint>, ControlError> {
        let mut room = self.free_room(&caller.account).await?;
        for _ in 0..COMMIT_TRIES {
            let endpoint = new_endpoint(caller, wish, name, now);
            let transaction = room.take(claiming(&endpoint, memory)?)?;
            let deed = Deed {
                by: Some(caller),
                action: Action::EndpointClaim,
                account: Some(&caller.account),
                target: name,
            };
            if let Commit::Done(_) = self.store.commit(deed.written(transaction, now)?).await? {
                self.metrics.claims.inc();
                return Ok(Some(endpoint));
            }
            let now = self.free_room(&caller.account).await?;
            if room.is_same(&now) {
                return Ok(None);
            }
            // The account claims or releases something else at the same time, which says nothing about this name.
            room = now;
        }
        self.metrics.hit(Hit::CommitTries);
        Err(ControlError::new(
            ErrorCode::Unavailable,
            "this account claims too much at the same time: try again",
        ))
    }

    /// The placements of every claim of an account.
    pub(crate) async fn placements(
        &self,
        account: &AccountId,
    ) -> Result<BTreeMap<ClaimId, Vec<PlacementFact>>, ControlError> {
        self.look(|facts| {
            let claims = facts
                .endpoints_of(account)
                .map(|known| &known.endpoint.claim);
            let placed = |claim| facts.placements_of(claim).cloned().collect();
            claims.map(|claim| (claim.clone(), placed(claim))).collect()
        })
        .await
    }

    /// How many sessions have endpoints placed at each edge.
    pub(crate) async fn sessions_by_edge(&self) -> Result<BTreeMap<EdgeId, usize>, ControlError> {
        self.look(Facts::sessions_by_edge).await
    }

    /// Deletes the endpoint and refuses its tokens, in one commit.
    pub async fn release(
        &self,
        caller: &Caller,
        name: &EndpointName,
        now: UnixTime,
    ) -> Result<(), ControlError> {
        let key = layout::endpoint(name);
        for _ in 0..COMMIT_TRIES {
            let found = store::get::<Endpoint>(&*self.store, &key).await?;
            let missing =
                || ControlError::new(ErrorCode::NotFound, format!("{name} is not claimed"));
            let (endpoint, modified) = found.ok_or_else(missing)?;
            caller.must_own(&endpoint.account)?;
            let at = self
                .moment_after_revocations(&endpoint.account, now)
                .await?;
            let revoked = Revocation::Claim(endpoint.claim);
            let fact = RevocationFact {
                revoked,
                at,
                until: self.revocation_until(at),
            };
            let transaction = Transaction::new()
                .if_revision(key.clone(), modified)
                .delete(key.clone())
                .put(layout::revocation(&fact.revoked), Value::json(&fact)?);
            let room = self.room(&endpoint.account).await?;
            let transaction = room.give_back(transaction)?;
            let deed = Deed {
                by: Some(caller),
                action: Action::EndpointRelease,
                account: Some(&endpoint.account),
                target: name,
            };
            if let Commit::Done(_) = self.store.commit(deed.written(transaction, now)?).await? {
                return Ok(());
            }
        }
        self.metrics.hit(Hit::CommitTries);
        Err(ControlError::new(
            ErrorCode::Unavailable,
            format!("{name} changes all the time: try again"),
        ))
    }
}

fn claiming(endpoint: &Endpoint, memory: Option<&Memory>) -> Result<Transaction, ControlError> {
    let key = layout::endpoint(&endpoint.name);
    // An account that is being deleted claims nothing any more.
    let transaction = Transaction::new()
        .if_present(layout::account(&endpoint.account))
        .if_absent(key.clone())
        .put(key, Value::json(endpoint)?);
    let Some(Memory { key, seen }) = memory else {
        return Ok(transaction);
    };
    let unchanged = match seen {
        Some(modified) => transaction.if_revision(key.clone(), *modified),
        None => transaction.if_absent(key.clone()),
    };
    Ok(unchanged.put(key.clone(), Value::json(&endpoint.name)?))
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
    ClaimWish {
        name: Some(name.clone()),
        ..wish.clone()
    }
}
