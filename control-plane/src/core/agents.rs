//! Credentials of machines without people: an API key that gets tokens for the endpoints it is bound to, and nothing else.
//!
//! All tokens of one credential are of one grant, so revoking it cuts their sessions at every edge that watches.

use std::time::Duration;

use model::{
    AccountId, AgentName, ApiKeyId, Endpoint, EndpointName, GrantId, HostPattern, Revocation,
    RevocationFact, Role, UnixTime,
};
use serde::{Deserialize, Serialize};
use store::{Commit, Transaction, Value, layout};
use token::LEEWAY;

use super::{
    COMMIT_TRIES, Caller, Core, CreatedKey,
    accounts::{ApiKeyRecord, NewSecret},
    audit::{Action, Deed},
    random_id,
};
use crate::{
    error::{ControlError, ErrorCode},
    metrics::Hit,
};

/// Agents of one account; a list of them fits one answer.
const MAX_AGENTS: usize = 1000;
/// Endpoints that one credential names; a token for all of them stays below the longest token.
const MAX_BOUND: usize = 32;
const MAX_TAGS: usize = 32;
const MAX_TAG: usize = 100;
/// How exactly the last use is known: a commit for each token would be one too many.
const USE_GRAIN: Duration = Duration::from_secs(60);

/// What stands at `account/ACCOUNT/agent/NAME`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AgentRecord {
    pub(crate) name: AgentName,
    /// The id of its credential, which is the subject of its tokens too.
    pub(crate) key: ApiKeyId,
    /// Of all its tokens.
    pub(crate) grant: GrantId,
    pub(crate) endpoints: Vec<EndpointName>,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    pub(crate) created: UnixTime,
}

#[derive(Serialize, Deserialize)]
struct LastUse {
    at: UnixTime,
}

/// An agent as it is shown.
pub(crate) struct ListedAgent {
    pub(crate) record: AgentRecord,
    pub(crate) last_use: Option<UnixTime>,
}

#[derive(Clone, Debug)]
pub struct AgentWish {
    pub name: AgentName,
    pub endpoints: Vec<EndpointName>,
    pub tags: Vec<String>,
}

impl AgentRecord {
    /// Whether the credential is for this endpoint of its account.
    pub(crate) fn covers(&self, name: &EndpointName) -> bool {
        self.endpoints.iter().any(|bound| covers(bound, name))
    }
}

fn covers(bound: &EndpointName, name: &EndpointName) -> bool {
    match (bound, name) {
        _ if bound == name => true,
        (
            EndpointName::Host(pattern @ HostPattern::Wildcard(_)),
            EndpointName::Host(HostPattern::Exact(host)),
        ) => pattern.matches(host),
        _ => false,
    }
}

impl Core {
    pub async fn create_agent(
        &self,
        caller: &Caller,
        account: &AccountId,
        wish: &AgentWish,
        now: UnixTime,
    ) -> Result<CreatedKey, ControlError> {
        caller.must_own(account)?;
        self.account(account).await?;
        self.check_wish(account, wish).await?;
        let id: ApiKeyId = format!("agt{}", &ApiKeyId::from_random(random_id()).as_str()[3..])
            .parse()
            .map_err(ControlError::internal)?;
        let secret = NewSecret::draw();
        let record = AgentRecord {
            name: wish.name.clone(),
            key: id.clone(),
            grant: GrantId::from_random(random_id()),
            endpoints: wish.endpoints.clone(),
            tags: wish.tags.clone(),
            created: now,
        };
        let key = ApiKeyRecord {
            id: id.clone(),
            account: account.clone(),
            name: wish.name.to_string(),
            role: Role::Agent,
            agent: Some(wish.name.clone()),
            created: now,
            hash: secret.hash(),
        };
        let (place, key_place) = (layout::agent(account, &wish.name), layout::api_key(&id));
        let change = Transaction::new()
            .if_present(layout::account(account))
            .if_absent(place.clone())
            .if_absent(key_place.clone())
            .put(place.clone(), Value::json(&record)?)
            .put(key_place, Value::json(&key)?);
        let deed = Deed {
            by: Some(caller),
            action: Action::AgentCreate,
            account: Some(account),
            target: &wish.name,
        };
        match self.store.commit(deed.written(change, now)?).await? {
            Commit::Done(_) => Ok(secret.into_key(id)),
            Commit::Conflict => Err(ControlError::new(
                ErrorCode::Exists,
                format!(
                    "there is an agent {0} already, and its credential is not shown again: revoke it (adit admin agent revoke {0}) or choose another name",
                    wish.name
                ),
            )),
        }
    }

    async fn check_wish(&self, account: &AccountId, wish: &AgentWish) -> Result<(), ControlError> {
        if wish.endpoints.is_empty() || wish.endpoints.len() > MAX_BOUND {
            return Err(ControlError::invalid(format!(
                "an agent is bound to 1 to {MAX_BOUND} endpoints"
            )));
        }
        let fits =
            |tag: &String| (1..=MAX_TAG).contains(&tag.len()) && !tag.chars().any(char::is_control);
        if wish.tags.len() > MAX_TAGS || !wish.tags.iter().all(fits) {
            return Err(ControlError::invalid(
                "an agent has at most 32 tags of 1 to 100 bytes, without control characters",
            ));
        }
        let is_pattern =
            |name: &&EndpointName| matches!(name, EndpointName::Host(HostPattern::Wildcard(_)));
        let names = wish.endpoints.iter().filter(|name| !is_pattern(name));
        let names: Vec<_> = names.cloned().collect();
        if let Some(other) = self.foreign_among(account, &names).await? {
            return Err(ControlError::new(
                ErrorCode::NotFound,
                format!("{other} is not claimed by this account: adit admin endpoint claim"),
            ));
        }
        let (agents, _) = store::entries(&*self.store, &layout::agents_of(account)).await?;
        if agents.len() < MAX_AGENTS {
            return Ok(());
        }
        self.metrics.hit(Hit::Agents);
        Err(ControlError::new(
            ErrorCode::TooMany,
            "an account has at most 1000 agents: revoke one",
        ))
    }

    pub(crate) async fn agents_of(
        &self,
        account: &AccountId,
    ) -> Result<Vec<ListedAgent>, ControlError> {
        let (records, _) =
            store::list::<AgentRecord>(&*self.store, &layout::agents_of(account)).await?;
        let mut agents = Vec::with_capacity(records.len());
        for (_, record) in records {
            let last_use = self.last_use(account, &record.name).await?;
            agents.push(ListedAgent { record, last_use });
        }
        Ok(agents)
    }

    async fn last_use(
        &self,
        account: &AccountId,
        name: &AgentName,
    ) -> Result<Option<UnixTime>, ControlError> {
        let found = store::get::<LastUse>(&*self.store, &layout::agent_use(account, name)).await?;
        Ok(found.map(|(last, _)| last.at))
    }

    /// What the credential that the caller holds is for.
    pub(crate) async fn agent_of(&self, caller: &Caller) -> Result<AgentRecord, ControlError> {
        let missing = || {
            ControlError::new(
                ErrorCode::Unauthenticated,
                "the agent's credential is revoked",
            )
        };
        let name = caller.agent.as_ref().ok_or_else(missing)?;
        let found =
            store::get::<AgentRecord>(&*self.store, &layout::agent(&caller.account, name)).await?;
        // A credential of the same name that was made anew is another one.
        let record = found.map(|(record, _)| record);
        record
            .filter(|record| record.key == caller.key)
            .ok_or_else(missing)
    }

    /// The endpoints that the agent may get tokens for.
    pub(crate) async fn endpoints_of_agent(
        &self,
        caller: &Caller,
    ) -> Result<Vec<Endpoint>, ControlError> {
        let record = self.agent_of(caller).await?;
        let (own, _) = self.endpoints_of(&caller.account).await?;
        let covered = own
            .into_iter()
            .filter(|endpoint| record.covers(&endpoint.name));
        Ok(covered.collect())
    }

    /// Remembers that the credential is in use. A token that was signed is not held back for it.
    pub(crate) async fn note_use(&self, account: &AccountId, name: &AgentName, now: UnixTime) {
        if let Err(error) = self.try_note_use(account, name, now).await {
            tracing::warn!(%error, agent = %name, "the last use of an agent cannot be kept");
        }
    }

    async fn try_note_use(
        &self,
        account: &AccountId,
        name: &AgentName,
        now: UnixTime,
    ) -> Result<(), ControlError> {
        let last = self.last_use(account, name).await?;
        if last.is_some_and(|at| now.since(at) < USE_GRAIN) {
            return Ok(());
        }
        let change = Transaction::new()
            .if_present(layout::agent(account, name))
            .put(
                layout::agent_use(account, name),
                Value::json(&LastUse { at: now })?,
            );
        // A conflict says that the agent was revoked meanwhile.
        let _ = self.store.commit(change).await?;
        Ok(())
    }

    /// Deletes the credential and refuses its tokens, in one commit.
    pub async fn revoke_agent(
        &self,
        caller: &Caller,
        account: &AccountId,
        name: &AgentName,
        now: UnixTime,
    ) -> Result<(), ControlError> {
        caller.must_own(account)?;
        let place = layout::agent(account, name);
        for _ in 0..COMMIT_TRIES {
            let found = store::get::<AgentRecord>(&*self.store, &place).await?;
            let missing =
                || ControlError::new(ErrorCode::NotFound, format!("there is no agent {name}"));
            let (record, seen) = found.ok_or_else(missing)?;
            self.must_have_room_for_ids(caller).await?;
            // Tokens that are being issued in this moment are hit too: nothing is ever issued of this grant again.
            let at = now.plus(LEEWAY);
            let fact = RevocationFact {
                revoked: Revocation::Grant(record.grant),
                at,
                until: self.revocation_until(at),
            };
            let change = Transaction::new()
                .if_revision(place.clone(), seen)
                .delete(place.clone())
                .delete(layout::api_key(&record.key))
                .delete(layout::agent_use(account, name))
                .put(layout::revocation(&fact.revoked), Value::json(&fact)?);
            let deed = Deed {
                by: Some(caller),
                action: Action::AgentRevoke,
                account: Some(account),
                target: name,
            };
            if let Commit::Done(_) = self.store.commit(deed.written(change, now)?).await? {
                self.metrics.revocations.inc();
                return Ok(());
            }
        }
        self.metrics.hit(Hit::CommitTries);
        Err(ControlError::new(
            ErrorCode::Unavailable,
            format!("the agent {name} changes all the time: try again"),
        ))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_pattern_covers_what_it_matches_and_a_name_only_itself() {
        let covers = |bound: &str, name: &str| {
            let (bound, name) = (bound.parse().unwrap(), name.parse().unwrap());
            super::covers(&bound, &name)
        };
        for (bound, name) in [
            ("a.example", "a.example"),
            ("*.a.example", "*.a.example"),
            ("*.a.example", "b.a.example"),
            ("port:44001", "port:44001"),
        ] {
            assert!(covers(bound, name), "{bound} {name}");
        }
        for (bound, name) in [
            ("a.example", "b.example"),
            ("a.example", "*.a.example"),
            ("b.a.example", "*.a.example"),
            ("*.a.example", "a.example"),
            ("port:44001", "port:44002"),
        ] {
            assert!(!covers(bound, name), "{bound} {name}");
        }
    }
}
