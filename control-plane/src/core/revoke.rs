//! Revoking tokens, and forgetting revocations that no token needs any more.

use std::time::Duration;

use model::{Revocation, RevocationFact, UnixTime};
use store::{MAX_OPERATIONS, Transaction, Value, layout};

use super::{Caller, Core};
use crate::error::{ControlError, ErrorCode};

/// How much longer than any session a revocation is kept: clocks differ, and a session that was cut off from the control
/// plane has a grace.
const MARGIN: Duration = Duration::from_secs(24 * 3600);

impl Core {
    /// Refuses tokens that were issued until now, and cuts their sessions. Ids of tokens and grants are 120 random bits that
    /// only their holders know, which is why knowing one is enough; claims and accounts must be one's own.
    pub async fn revoke(&self, caller: &Caller, revoked: Revocation, now: UnixTime) -> Result<(), ControlError> {
        match &revoked {
            Revocation::Token(_) | Revocation::Grant(_) => {}
            Revocation::Account(account) => caller.must_own(account)?,
            Revocation::Claim(claim) => {
                let (all, _) = store::list::<model::Endpoint>(&*self.store, &layout::endpoints()).await?;
                let found = all.into_iter().map(|(_, endpoint)| endpoint).find(|endpoint| endpoint.claim == *claim);
                let missing = || ControlError::new(ErrorCode::NotFound, format!("there is no claim {claim}"));
                caller.must_own(&found.ok_or_else(missing)?.account)?;
            }
        }
        let fact = RevocationFact { revoked, at: now, until: self.revocation_until(now) };
        let _ = self.store.commit(Transaction::new().put(layout::revocation(&fact.revoked), Value::json(&fact)?)).await?;
        self.metrics.revocations.inc();
        Ok(())
    }

    /// When every token and session of now has ended by itself.
    pub(crate) fn revocation_until(&self, now: UnixTime) -> UnixTime {
        now.plus(self.config.token_ttl.max(self.config.session_ttl)).plus(MARGIN)
    }

    /// Deletes revocations whose time is over.
    pub(crate) async fn prune_revocations(&self, now: UnixTime) -> Result<usize, ControlError> {
        let (all, _) = store::list::<RevocationFact>(&*self.store, &layout::revocations()).await?;
        let over: Vec<_> = all.into_iter().filter(|(_, fact)| fact.until < now).map(|(key, _)| key).collect();
        for part in over.chunks(MAX_OPERATIONS) {
            let _ = self.store.commit(part.iter().cloned().fold(Transaction::new(), Transaction::delete)).await?;
        }
        Ok(over.len())
    }
}
