//! Deleting an account: first its profile with all its tokens, then its keys, then its endpoints, then the rest.
//!
//! Once the profile is gone nothing of the account is made anew, because every change that makes something asks for the profile
//! in its commit. So whoever is interrupted, or meets another one who deletes the same account, takes down what is left.

use model::{AccountId, Revocation, RevocationFact, UnixTime};
use store::{Commit, Transaction, Value, layout};

use super::{
    COMMIT_TRIES, Caller, Core,
    accounts::ApiKeyRecord,
    audit::{Action, Deed},
};
use crate::{
    error::{ControlError, ErrorCode},
    metrics::Hit,
};

/// Keys deleted, or endpoints released, in one commit.
const PART: usize = 40;

/// What was taken down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deleted {
    pub(crate) endpoints: usize,
    pub(crate) keys: usize,
}

impl Core {
    pub(crate) async fn delete_account(
        &self,
        caller: &Caller,
        account: &AccountId,
        now: UnixTime,
    ) -> Result<Deleted, ControlError> {
        if caller.account == *account {
            return Err(ControlError::invalid(
                "this is the account that you call with: another administrator can delete it",
            ));
        }
        let was_there = self.close_account(caller, account, now).await?;
        let deleted = Deleted {
            keys: self.delete_keys(account).await?,
            endpoints: self.release_all(account, now).await?,
        };
        let rest = self.delete_rest(account).await?;
        if was_there || rest || deleted != Deleted::default() {
            return Ok(deleted);
        }
        Err(ControlError::new(
            ErrorCode::NotFound,
            format!("there is no account {account}"),
        ))
    }

    /// Deletes the profile and refuses every token; false when somebody has done so.
    async fn close_account(
        &self,
        caller: &Caller,
        account: &AccountId,
        now: UnixTime,
    ) -> Result<bool, ControlError> {
        let at = self.moment_after_revocations(account, now).await?;
        let fact = RevocationFact {
            revoked: Revocation::Account(account.clone()),
            at,
            until: self.revocation_until(at),
        };
        let profile = layout::account(account);
        let change = Transaction::new()
            .if_present(profile.clone())
            .delete(profile)
            .put(layout::revocation(&fact.revoked), Value::json(&fact)?);
        let deed = Deed {
            by: Some(caller),
            action: Action::AccountDelete,
            account: Some(account),
            target: account,
        };
        let committed = self.store.commit(deed.written(change, now)?).await?;
        Ok(matches!(committed, Commit::Done(_)))
    }

    async fn delete_keys(&self, account: &AccountId) -> Result<usize, ControlError> {
        let (records, _) = store::list::<ApiKeyRecord>(&*self.store, &layout::api_keys()).await?;
        let own: Vec<_> = records
            .into_iter()
            .filter(|(_, record)| record.account == *account)
            .map(|(key, _)| key)
            .collect();
        for part in own.chunks(PART) {
            let change = part
                .iter()
                .fold(Transaction::new(), |all, key| all.delete(key));
            let _ = self.store.commit(change).await?;
        }
        Ok(own.len())
    }

    /// A call that was authenticated before its key was gone may have got a token since: each claim is revoked as well.
    async fn release_all(&self, account: &AccountId, now: UnixTime) -> Result<usize, ControlError> {
        let mut released = 0;
        for _ in 0..COMMIT_TRIES {
            let (all, _) = store::entries(&*self.store, &layout::endpoints()).await?;
            let mut own = Vec::new();
            for entry in all {
                let endpoint: model::Endpoint = entry.json()?;
                if endpoint.account == *account {
                    own.push((entry, endpoint));
                }
            }
            if own.is_empty() {
                return Ok(released);
            }
            let at = self.moment_after_revocations(account, now).await?;
            for part in own.chunks(PART) {
                let mut change = Transaction::new();
                for (entry, endpoint) in part {
                    let fact = RevocationFact {
                        revoked: Revocation::Claim(endpoint.claim.clone()),
                        at,
                        until: self.revocation_until(at),
                    };
                    change = change
                        .if_revision(entry.key.clone(), entry.modified)
                        .delete(entry.key.clone())
                        .put(layout::revocation(&fact.revoked), Value::json(&fact)?);
                }
                if let Commit::Done(_) = self.store.commit(change).await? {
                    released += part.len();
                }
            }
        }
        self.metrics.hit(Hit::CommitTries);
        Err(ControlError::new(
            ErrorCode::Unavailable,
            "the account's endpoints change all the time: delete it again",
        ))
    }

    /// Agents, remembered names and whatever else stands in the account's folder; false when it was empty.
    async fn delete_rest(&self, account: &AccountId) -> Result<bool, ControlError> {
        let folder = layout::account_folder(account);
        let (entries, _) = store::entries(&*self.store, &folder).await?;
        for part in entries.chunks(PART) {
            let change = part
                .iter()
                .fold(Transaction::new(), |all, entry| all.delete(&entry.key));
            let _ = self.store.commit(change).await?;
        }
        Ok(!entries.is_empty())
    }
}
