//! What a person has let a program do, and the tokens that follow from it.
//!
//! A consent begins when a device fetches its first token and ends when the person or the program ends it, when it was not used for long, or
//! when one of its refresh tokens turns up twice. All its tokens are of one grant, so that its end cuts their sessions.

use std::{fmt, time::Duration};

use model::{
    AccountId, AgentId, ApiKeyId, ClaimId, GrantId, GrantedEndpoint, Revocation, RevocationFact,
    Role, UnixTime,
};
use serde::{Deserialize, Serialize};
use store::{Commit, Transaction, Value, layout};
use token::{Expect, LEEWAY, Token};
use zeroize::Zeroizing;

use super::{
    COMMIT_TRIES, Caller, Core,
    accounts::Account,
    audit::{Action, Deed},
    issue::Holder,
    random_id,
};
use crate::{
    error::{ControlError, ErrorCode},
    metrics::Hit,
    oauth::{Chain, Client, OAuthError, Presented},
};

/// A consent that no token was asked of for so long is over: a program that is used at all asks every few minutes.
const UNUSED: Duration = Duration::from_secs(90 * 24 * 3600);
/// Consents of one account; a list of them fits one page.
const MAX_CONSENTS: usize = 1000;

/// What stands at `secret/consent/GRANT`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Consent {
    pub(crate) grant: GrantId,
    /// Whoever gave it.
    pub(crate) by: ApiKeyId,
    pub(crate) account: AccountId,
    pub(crate) client: Client,
    pub(crate) rights: Rights,
    pub(crate) given: UnixTime,
    pub(crate) used: UnixTime,
    chain: Chain,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Rights {
    /// To serve these.
    Tunnel(Vec<ClaimId>),
    /// To do what the person may do at the control plane.
    Api,
}

/// What a list of consents shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ListedConsent {
    /// Whoever gave it.
    pub(crate) by: ApiKeyId,
    pub(crate) client: String,
    pub(crate) given: UnixTime,
}

/// The answer to a token request (RFC 6749, section 5.1).
pub(crate) struct Tokens {
    pub(crate) access: Token,
    pub(crate) lives: Duration,
    pub(crate) refresh: Zeroizing<String>,
    pub(crate) rights: Rights,
    /// What the access token serves.
    pub(crate) endpoints: Vec<GrantedEndpoint>,
    pub(crate) locations: Vec<String>,
}

impl Consent {
    pub(crate) fn new(by: &Caller, client: Client, rights: Rights, now: UnixTime) -> Self {
        Self {
            grant: GrantId::from_random(random_id()),
            by: by.key.clone(),
            account: by.account.clone(),
            client,
            rights,
            given: now,
            used: now,
            chain: Chain::new(),
        }
    }

    /// The subject of its tokens: one for each consent, so that two programs of one person are two agents.
    fn subject(&self) -> Result<AgentId, ControlError> {
        let id = self.grant.as_str().trim_start_matches("grt");
        format!("agt{id}").parse().map_err(ControlError::internal)
    }

    const fn deed<'a>(&'a self, by: Option<&'a Caller>, action: Action) -> Deed<'a> {
        Deed {
            by,
            action,
            account: Some(&self.account),
            target: self,
        }
    }

    fn listed(&self) -> ListedConsent {
        ListedConsent {
            by: self.by.clone(),
            client: self.client.id().to_owned(),
            given: self.given,
        }
    }
}

impl fmt::Display for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.grant, self.client.id())
    }
}

impl Core {
    /// Adds a consent to the commit that uses up its code.
    pub(super) fn begin_consent(
        &self,
        change: Transaction,
        consent: &Consent,
        now: UnixTime,
    ) -> Result<Transaction, ControlError> {
        let place = layout::consent(&consent.grant);
        let change = change
            .if_present(layout::account(&consent.account))
            .if_absent(place.clone())
            .put(place.clone(), self.seal(&place, consent)?)
            .put(
                layout::consent_of(&consent.account, &consent.grant),
                Value::json(&consent.listed())?,
            );
        consent.deed(None, Action::ConsentGive).written(change, now)
    }

    /// The first tokens of a consent, or the next ones.
    pub(super) async fn tokens_of(
        &self,
        consent: &Consent,
        now: UnixTime,
    ) -> Result<Tokens, ControlError> {
        let holder = Holder {
            account: &consent.account,
            subject: consent.subject()?,
            client: consent.client.id(),
            grant: consent.grant.clone(),
        };
        let issued = match &consent.rights {
            Rights::Tunnel(claims) => self.issue_tunnel(holder, claims, now).await?,
            Rights::Api => self.issue_api(holder, now).await?,
        };
        Ok(Tokens {
            lives: issued.expires.since(now),
            access: issued.token,
            refresh: consent.chain.token(&consent.grant),
            rights: consent.rights.clone(),
            endpoints: issued.endpoints,
            locations: issued.locations,
        })
    }

    /// Exchanges a refresh token for an access token and the next refresh token.
    pub(crate) async fn refresh_consent(
        &self,
        token: &str,
        client: &str,
        now: UnixTime,
    ) -> Result<Tokens, OAuthError> {
        let refused = || OAuthError::invalid_grant("the refresh token is not valid (any more)");
        let grant = Chain::grant_of(token).ok_or_else(refused)?;
        let place = layout::consent(&grant);
        for _ in 0..COMMIT_TRIES {
            let found: Option<(Consent, _)> = self.open(&place).await?;
            let (mut consent, seen) = found.ok_or_else(refused)?;
            if consent.client.id() != client || now.since(consent.used) > UNUSED {
                return Err(refused());
            }
            match consent.chain.present(&grant, token) {
                Presented::Good(next) => consent.chain = next,
                Presented::Unknown => return Err(refused()),
                Presented::Replayed => {
                    self.end_consent(None, &consent, Action::ConsentReplay, now)
                        .await?;
                    return Err(refused());
                }
            }
            consent.used = now;
            // Before the commit: a token that cannot be issued leaves the old refresh token as it was.
            let tokens = self.tokens_of(&consent, now).await?;
            let change = Transaction::new()
                .if_revision(place.clone(), seen)
                .put(place.clone(), self.seal(&place, &consent)?);
            if let Commit::Done(_) = self.store.commit(change).await? {
                return Ok(tokens);
            }
        }
        self.metrics.hit(Hit::CommitTries);
        Err(ControlError::new(ErrorCode::Unavailable, "others use this refresh token").into())
    }

    /// Who calls with an access token of the scope `api`: a member of the account, whatever the one was who gave it.
    pub(crate) async fn authenticate_token(
        &self,
        presented: &str,
        now: UnixTime,
    ) -> Result<Caller, ControlError> {
        let refused = |why: &dyn fmt::Display| {
            ControlError::new(
                ErrorCode::Unauthenticated,
                format!("the access token is not valid here: {why}"),
            )
        };
        let expect = Expect {
            issuer: self.issuer.clone(),
            audience: self.api_audience(),
        };
        let claims = token::verify(presented, &self.keys.load().public(), &expect, now)
            .map_err(|error| refused(&error))?;
        let revoked = self
            .look(|facts| facts.revocations().check(&claims))
            .await?;
        revoked.map_err(|_| refused(&"it has been revoked"))?;
        let key = claims.subject.as_str().parse();
        Ok(Caller {
            account: claims.account,
            key: key.map_err(ControlError::internal)?,
            role: Role::Member,
            agent: None,
            from: None,
        })
    }

    /// RFC 7009: a program gives back what it has. What is not ours, or not its, is ignored, so that nothing is told.
    pub(crate) async fn revoke_consent(
        &self,
        token: &str,
        client: &str,
        now: UnixTime,
    ) -> Result<(), ControlError> {
        let Some(grant) = Chain::grant_of(token) else {
            return self.revoke_access(token, client, now).await;
        };
        let found: Option<(Consent, _)> = self.open(&layout::consent(&grant)).await?;
        let Some((consent, _)) = found.filter(|(consent, _)| consent.client.id() == client) else {
            return Ok(());
        };
        match consent.chain.present(&grant, token) {
            Presented::Unknown => Ok(()),
            Presented::Good(_) | Presented::Replayed => {
                self.end_consent(None, &consent, Action::ConsentRevoke, now)
                    .await
            }
        }
    }

    /// An access token takes its consent along: whoever gives one back has no use for the next.
    async fn revoke_access(
        &self,
        token: &str,
        client: &str,
        now: UnixTime,
    ) -> Result<(), ControlError> {
        let Some(grant) = self.own_grant(token, now) else {
            return Ok(());
        };
        match self.open::<Consent>(&layout::consent(&grant)).await? {
            Some((consent, _)) if consent.client.id() == client => {
                self.end_consent(None, &consent, Action::ConsentRevoke, now)
                    .await
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn must_have_room_for_consents(
        &self,
        account: &AccountId,
    ) -> Result<(), ControlError> {
        let (all, _) = store::entries(&*self.store, &layout::consents_of(account)).await?;
        if all.len() < MAX_CONSENTS {
            return Ok(());
        }
        self.metrics.hit(Hit::Consents);
        Err(ControlError::new(
            ErrorCode::TooMany,
            "an account has at most 1000 consents: end one (adit admin consent end)",
        ))
    }

    pub(crate) async fn consents_of(
        &self,
        account: &AccountId,
    ) -> Result<Vec<(GrantId, ListedConsent)>, ControlError> {
        let (all, _) = store::list(&*self.store, &layout::consents_of(account)).await?;
        let named = all
            .into_iter()
            .filter_map(|(key, listed)| Some((layout::consent_grant(&key)?, listed)));
        Ok(named.collect())
    }

    pub(crate) async fn end_consent_of(
        &self,
        caller: &Caller,
        grant: &GrantId,
        now: UnixTime,
    ) -> Result<(), ControlError> {
        let missing =
            || ControlError::new(ErrorCode::NotFound, format!("there is no consent {grant}"));
        let found: Option<(Consent, _)> = self.open(&layout::consent(grant)).await?;
        let (consent, _) = found.ok_or_else(missing)?;
        caller.must_own(&consent.account)?;
        self.end_consent(Some(caller), &consent, Action::ConsentRevoke, now)
            .await
    }

    /// Ends those that nobody used for long, and forgets those of accounts that are gone.
    pub(crate) async fn prune_consents(&self, now: UnixTime) -> Result<usize, ControlError> {
        let (all, _) = store::entries(&*self.store, &layout::consents()).await?;
        let mut ended = 0;
        for entry in all {
            let Some((consent, _)) = self.open::<Consent>(&entry.key).await? else {
                continue;
            };
            let profile = layout::account(&consent.account);
            let is_orphan = store::get::<Account>(&*self.store, &profile)
                .await?
                .is_none();
            if is_orphan || now.since(consent.used) > UNUSED {
                self.end_consent(None, &consent, Action::ConsentRevoke, now)
                    .await?;
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Deletes it, and refuses its tokens and cuts their sessions at every edge.
    async fn end_consent(
        &self,
        by: Option<&Caller>,
        consent: &Consent,
        why: Action,
        now: UnixTime,
    ) -> Result<(), ControlError> {
        let at = now.plus(LEEWAY);
        let fact = RevocationFact {
            revoked: Revocation::Grant(consent.grant.clone()),
            at,
            until: self.revocation_until(at),
        };
        let change = Transaction::new()
            .delete(layout::consent(&consent.grant))
            .delete(layout::consent_of(&consent.account, &consent.grant))
            .put(layout::revocation(&fact.revoked), Value::json(&fact)?);
        let change = consent.deed(by, why).written(change, now)?;
        let _ = self.store.commit(change).await?;
        self.metrics.revocations.inc();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
