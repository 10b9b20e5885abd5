//! Revoking tokens, and forgetting revocations that no token needs any more.

use std::time::Duration;

use model::{AccountId, Revocation, RevocationFact, UnixTime};
use store::{Commit, Transaction, Value, layout};
use token::LEEWAY;

use super::{
    Caller, Core,
    audit::{Action, Deed},
};
use crate::{
    error::{ControlError, ErrorCode},
    metrics::Hit,
};

/// How much longer than any session a revocation is kept: clocks differ, and a session that was cut off from the control
/// plane has a grace.
const MARGIN: Duration = Duration::from_secs(24 * 3600);

/// How far tokens may be dated ahead because of revocations: half of what edges tolerate, the rest is for clocks.
const MAX_AHEAD: Duration = Duration::from_secs(LEEWAY.as_secs() / 2);

/// Tokens and grants that may be revoked by id at a time, except by administrators. Every edge keeps each of them in
/// memory, in some 200 bytes.
pub(crate) const MAX_REVOKED_IDS: usize = 10_000;

impl Core {
    /// Refuses tokens that were issued until now, and cuts their sessions. Ids of tokens and grants are 120 random bits that
    /// only their holders know, which is why knowing one is enough; claims and accounts must be one's own.
    pub async fn revoke(
        &self,
        caller: &Caller,
        revoked: Revocation,
        now: UnixTime,
    ) -> Result<(), ControlError> {
        let (at, account) = match &revoked {
            // An id is never given again, so a moment that is surely after the issue does.
            Revocation::Token(_) | Revocation::Grant(_) => {
                self.must_have_room_for_ids(caller).await?;
                (now.plus(LEEWAY), caller.account.clone())
            }
            Revocation::Account(account) => {
                caller.must_own(account)?;
                let at = self.moment_after_revocations(account, now).await?;
                (at, account.clone())
            }
            Revocation::Claim(claim) => {
                let missing =
                    || ControlError::new(ErrorCode::NotFound, format!("there is no claim {claim}"));
                let account = self.account_with(claim).await?.ok_or_else(missing)?;
                caller.must_own(&account)?;
                let at = self.moment_after_revocations(&account, now).await?;
                (at, account)
            }
        };
        let fact = RevocationFact {
            revoked,
            at,
            until: self.revocation_until(at),
        };
        let key = layout::revocation(&fact.revoked);
        let deed = Deed {
            by: Some(caller),
            action: Action::TokenRevoke,
            account: Some(&account),
            target: &target(&fact.revoked),
        };
        let change = Transaction::new().put(key, Value::json(&fact)?);
        let _ = self.store.commit(deed.written(change, now)?).await?;
        self.metrics.revocations.inc();
        Ok(())
    }

    /// Nobody can tell whether an id was ever given out, so accounts could make edges remember any number of them.
    pub(super) async fn must_have_room_for_ids(&self, caller: &Caller) -> Result<(), ControlError> {
        if caller.is_admin() {
            return Ok(());
        }
        if self.look(|facts| facts.revoked_ids()).await? < MAX_REVOKED_IDS {
            return Ok(());
        }
        self.metrics.hit(Hit::RevokedIds);
        Err(ControlError::new(
            ErrorCode::TooMany,
            "too many tokens and grants are revoked by id: revoke the claim or the account instead",
        ))
    }

    /// Now, or the second after the last revocation that touches all tokens of an account or of one of its claims. Times
    /// are whole seconds and what was issued in a revocation's own second is refused, so a token that is asked for right
    /// after a revocation would be dead at birth. Revocations are dated alike, to hit such tokens too.
    pub(crate) async fn moment_after_revocations(
        &self,
        account: &AccountId,
        now: UnixTime,
    ) -> Result<UnixTime, ControlError> {
        let last = self
            .look(|facts| facts.last_revocation_of(account).map(|fact| fact.at))
            .await?;
        let moment = last.map_or(now, |at| now.max(at.plus(Duration::from_secs(1))));
        if moment.since(now) > MAX_AHEAD {
            return Err(ControlError::new(
                ErrorCode::Unavailable,
                "too many revocations at once: try again in a minute",
            ));
        }
        Ok(moment)
    }

    /// When every token and session of now has ended by itself.
    pub(crate) fn revocation_until(&self, now: UnixTime) -> UnixTime {
        now.plus(self.config.token_ttl.max(self.config.session_ttl))
            .plus(MARGIN)
    }

    /// Deletes revocations whose time is over.
    pub(crate) async fn prune_revocations(&self, now: UnixTime) -> Result<usize, ControlError> {
        let (all, _) = store::entries(&*self.store, &layout::revocations()).await?;
        let mut forgotten = 0;
        for entry in all {
            if entry.json::<RevocationFact>()?.until >= now {
                continue;
            }
            // Only as it was read: it may have been written anew meanwhile, with a later end.
            let forget = Transaction::new()
                .if_revision(entry.key.clone(), entry.modified)
                .delete(entry.key);
            if let Commit::Done(_) = self.store.commit(forget).await? {
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }
}

/// As the audit log calls it.
fn target(revoked: &Revocation) -> String {
    match revoked {
        Revocation::Token(id) => format!("token {id}"),
        Revocation::Grant(id) => format!("grant {id}"),
        Revocation::Claim(id) => format!("claim {id}"),
        Revocation::Account(id) => format!("account {id}"),
    }
}
