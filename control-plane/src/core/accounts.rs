//! Accounts and API keys. Of a key only a hash is kept.

use std::fmt;

use aws_lc_rs::{constant_time, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{AccountId, AgentName, ApiKeyId, Role, UnixTime};
use rand::RngCore;
use serde::{Deserialize, Deserializer, Serialize};
use store::{Commit, Range, Transaction, Value, layout};
use zeroize::Zeroizing;

use super::{
    Caller, Core,
    audit::{Action, Deed},
    random_id,
};
use crate::{
    error::{ControlError, ErrorCode},
    metrics::Hit,
};

/// Begins every API key, so that scanners of leaked secrets can find them.
const KEY_PREFIX: &str = "adit";
/// Octets of the secret half: more than anyone can guess.
const SECRET_LEN: usize = 32;
const MAX_NAME: usize = 100;
/// API keys of one account, without those of its agents; a list of them fits one answer.
const MAX_API_KEYS: usize = 1000;
/// Entries read at a time while accounts are listed.
const ACCOUNT_PAGE: usize = 500;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) name: String,
    pub(crate) created: UnixTime,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ApiKeyRecord {
    pub(super) id: ApiKeyId,
    pub(super) account: AccountId,
    pub(super) name: String,
    /// Records from before there were roles say `admin` with true or false.
    #[serde(alias = "admin", deserialize_with = "role_of")]
    pub(super) role: Role,
    /// Which agent's credential it is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) agent: Option<AgentName>,
    pub(super) created: UnixTime,
    /// SHA-256 of the secret, in base64url. The secret has 256 random bits, so nothing slower is needed.
    pub(super) hash: String,
}

/// What may be shown of an API key.
pub(crate) struct ListedKey {
    pub(crate) id: ApiKeyId,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) created: UnixTime,
}

/// The secret half of a key that is being made.
pub(super) struct NewSecret(Zeroizing<String>);

/// An API key in the only moment in which it is known.
pub struct CreatedKey {
    pub id: ApiKeyId,
    /// `adit_<id>_<secret>`
    pub secret: Zeroizing<String>,
}

/// The first account and its key, before the store knows of them.
pub struct PreparedAdministrator {
    account: Account,
    record: ApiKeyRecord,
    secret: Zeroizing<String>,
}

impl PreparedAdministrator {
    /// `adit_<id>_<secret>`
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

impl Core {
    /// Whether this provider's first account was ever made.
    pub async fn has_administrator(&self) -> Result<bool, ControlError> {
        let made = store::get::<AccountId>(&*self.store, &layout::administrator()).await?;
        Ok(made.is_some())
    }

    /// Draws everything for the first account, so that its key can be kept before it is good for anything.
    pub fn prepare_administrator(
        &self,
        name: &str,
        now: UnixTime,
    ) -> Result<PreparedAdministrator, ControlError> {
        let account = Account {
            id: AccountId::from_random(random_id()),
            name: checked_name(name)?,
            created: now,
        };
        let (record, key) = new_key(&account.id, name, Role::Admin, now)?;
        Ok(PreparedAdministrator {
            account,
            record,
            secret: key.secret,
        })
    }

    /// Makes the first account; false when another control plane has made one.
    pub async fn make_administrator(
        &self,
        prepared: PreparedAdministrator,
    ) -> Result<bool, ControlError> {
        let PreparedAdministrator {
            account, record, ..
        } = prepared;
        let marker = layout::administrator();
        let change = Transaction::new()
            .if_absent(marker.clone())
            .put(marker, Value::json(&account.id)?)
            .put(layout::account(&account.id), Value::json(&account)?)
            .put(layout::api_key(&record.id), Value::json(&record)?);
        let deed = Deed {
            by: None,
            action: Action::AccountCreate,
            account: Some(&account.id),
            target: &account.id,
        };
        let committed = self
            .store
            .commit(deed.written(change, account.created)?)
            .await?;
        Ok(matches!(committed, Commit::Done(_)))
    }

    /// For the provider itself, at its first start.
    pub async fn create_account(
        &self,
        name: &str,
        now: UnixTime,
    ) -> Result<AccountId, ControlError> {
        self.add_account(None, name, now).await
    }

    pub(crate) async fn add_account(
        &self,
        by: Option<&Caller>,
        name: &str,
        now: UnixTime,
    ) -> Result<AccountId, ControlError> {
        let account = Account {
            id: AccountId::from_random(random_id()),
            name: checked_name(name)?,
            created: now,
        };
        let key = layout::account(&account.id);
        let change = Transaction::new()
            .if_absent(key.clone())
            .put(key, Value::json(&account)?);
        let deed = Deed {
            by,
            action: Action::AccountCreate,
            account: Some(&account.id),
            target: &account.id,
        };
        match self.store.commit(deed.written(change, now)?).await? {
            Commit::Done(_) => Ok(account.id),
            Commit::Conflict => Err(ControlError::internal("a random id came twice")),
        }
    }

    pub(crate) async fn accounts(&self) -> Result<Vec<Account>, ControlError> {
        let mut accounts = Vec::new();
        let (mut range, mut revision) = (Some(Range::from(&layout::accounts())), None);
        while let Some(next) = range {
            let page = self.store.read(&next, revision, ACCOUNT_PAGE).await?;
            for entry in &page.entries {
                if layout::is_usage(&entry.key) {
                    return Ok(accounts);
                }
                if layout::account_of(&entry.key).is_some() {
                    accounts.push(entry.json()?);
                }
            }
            (range, revision) = (page.next, Some(page.revision));
        }
        Ok(accounts)
    }

    /// The account that was made first, if there is one.
    pub async fn first_account(&self) -> Result<Option<AccountId>, ControlError> {
        let first = self
            .accounts()
            .await?
            .into_iter()
            .min_by_key(|account| (account.created, account.id.clone()));
        Ok(first.map(|account| account.id))
    }

    pub(crate) async fn account(&self, id: &AccountId) -> Result<Account, ControlError> {
        let found = store::get(&*self.store, &layout::account(id)).await?;
        let missing =
            || ControlError::new(ErrorCode::NotFound, format!("there is no account {id}"));
        found.map(|(account, _)| account).ok_or_else(missing)
    }

    /// For the provider itself, at its first start.
    pub async fn create_api_key(
        &self,
        account: &AccountId,
        name: &str,
        role: Role,
        now: UnixTime,
    ) -> Result<CreatedKey, ControlError> {
        self.add_api_key(None, account, name, role, now).await
    }

    pub(crate) async fn add_api_key(
        &self,
        by: Option<&Caller>,
        account: &AccountId,
        name: &str,
        role: Role,
        now: UnixTime,
    ) -> Result<CreatedKey, ControlError> {
        self.account(account).await?;
        self.must_have_room_for_keys(account).await?;
        let (record, created) = new_key(account, name, role, now)?;
        let id = record.id.clone();
        let key = layout::api_key(&id);
        let change = Transaction::new()
            .if_absent(key.clone())
            .if_present(layout::account(account))
            .put(key, Value::json(&record)?);
        let deed = Deed {
            by,
            action: Action::ApiKeyCreate,
            account: Some(account),
            target: &format!("{id} ({role})"),
        };
        match self.store.commit(deed.written(change, now)?).await? {
            Commit::Done(_) => Ok(created),
            Commit::Conflict => Err(ControlError::new(
                ErrorCode::NotFound,
                "the account is gone",
            )),
        }
    }

    async fn must_have_room_for_keys(&self, account: &AccountId) -> Result<(), ControlError> {
        if self.api_keys_of(account).await?.len() < MAX_API_KEYS {
            return Ok(());
        }
        self.metrics.hit(Hit::ApiKeys);
        Err(ControlError::new(
            ErrorCode::TooMany,
            "an account has at most 1000 API keys: revoke one",
        ))
    }

    /// The account's API keys, without those of its agents.
    pub(crate) async fn api_keys_of(
        &self,
        account: &AccountId,
    ) -> Result<Vec<ListedKey>, ControlError> {
        let (records, _) = store::list::<ApiKeyRecord>(&*self.store, &layout::api_keys()).await?;
        let own = records
            .into_iter()
            .map(|(_, record)| record)
            .filter(|record| record.account == *account && record.role != Role::Agent);
        Ok(own.map(Into::into).collect())
    }

    pub async fn revoke_api_key(
        &self,
        caller: &Caller,
        id: &ApiKeyId,
        now: UnixTime,
    ) -> Result<(), ControlError> {
        let key = layout::api_key(id);
        let found: Option<(ApiKeyRecord, _)> = store::get(&*self.store, &key).await?;
        let (record, _) = found.ok_or_else(|| {
            ControlError::new(ErrorCode::NotFound, format!("there is no API key {id}"))
        })?;
        caller.must_own(&record.account)?;
        if let Some(name) = &record.agent {
            return self.revoke_agent(caller, &record.account, name, now).await;
        }
        let deed = Deed {
            by: Some(caller),
            action: Action::ApiKeyRevoke,
            account: Some(&record.account),
            target: id,
        };
        let change = Transaction::new().if_present(key.clone()).delete(key);
        // A conflict says that somebody else revoked it meanwhile.
        let _ = self.store.commit(deed.written(change, now)?).await?;
        Ok(())
    }

    /// Who holds this API key. All refusals look alike, and take alike.
    pub async fn authenticate(&self, presented: &str) -> Result<Caller, ControlError> {
        let refused = || {
            ControlError::new(
                ErrorCode::Unauthenticated,
                "the API key is not known: it may be mistyped or revoked",
            )
        };
        let (id, secret) = split(presented).ok_or_else(refused)?;
        let found: Option<(ApiKeyRecord, _)> =
            store::get(&*self.store, &layout::api_key(&id)).await?;
        let expected = found.as_ref().map_or("", |(record, _)| &record.hash);
        // The hash is computed whether the id is known or not.
        let same =
            constant_time::verify_slices_are_equal(hash(secret).as_bytes(), expected.as_bytes())
                .is_ok();
        match found {
            Some((record, _)) if same => Ok(Caller {
                account: record.account,
                key: record.id,
                role: record.role,
                agent: record.agent,
                from: None,
            }),
            _ => Err(refused()),
        }
    }
}

/// A key drawn by chance, as it is kept and as it is shown once.
fn new_key(
    account: &AccountId,
    name: &str,
    role: Role,
    now: UnixTime,
) -> Result<(ApiKeyRecord, CreatedKey), ControlError> {
    let id = ApiKeyId::from_random(random_id());
    let secret = NewSecret::draw();
    let record = ApiKeyRecord {
        id: id.clone(),
        account: account.clone(),
        name: checked_name(name)?,
        role,
        agent: None,
        created: now,
        hash: secret.hash(),
    };
    Ok((record, secret.into_key(id)))
}

impl NewSecret {
    pub(super) fn draw() -> Self {
        let mut bytes = Zeroizing::new([0; SECRET_LEN]);
        rand::rng().fill_bytes(&mut *bytes);
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))
    }

    pub(super) fn hash(&self) -> String {
        hash(&self.0)
    }

    /// The id itself begins with its kind; the whole reads adit_key_<random>_<secret>, or adit_agt_ for an agent.
    pub(super) fn into_key(self, id: ApiKeyId) -> CreatedKey {
        let secret = Zeroizing::new(format!("{KEY_PREFIX}_{id}_{}", *self.0));
        CreatedKey { id, secret }
    }
}

impl From<ApiKeyRecord> for ListedKey {
    fn from(record: ApiKeyRecord) -> Self {
        let ApiKeyRecord {
            id,
            account,
            name,
            role,
            created,
            ..
        } = record;
        Self {
            id,
            account,
            name,
            role,
            created,
        }
    }
}

/// The id and the secret of `adit_<id>_<secret>`. The secret is base64url and may hold `_`; the id has a known form.
fn split(key: &str) -> Option<(ApiKeyId, &str)> {
    let rest = key.strip_prefix(KEY_PREFIX)?.strip_prefix('_')?;
    let kind_end = rest.find('_')? + 1;
    let id_end = kind_end + rest[kind_end..].find('_')?;
    Some((rest[..id_end].parse().ok()?, &rest[id_end + 1..]))
}

fn role_of<'de, D: Deserializer<'de>>(from: D) -> Result<Role, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stored {
        Role(Role),
        Admin(bool),
    }
    Ok(match Stored::deserialize(from)? {
        Stored::Role(role) => role,
        Stored::Admin(true) => Role::Admin,
        Stored::Admin(false) => Role::Member,
    })
}

fn hash(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, secret.as_bytes()))
}

fn checked_name(name: &str) -> Result<String, ControlError> {
    let name = name.trim();
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(ControlError::invalid(
            "a name has 1 to 100 bytes and no control characters",
        ));
    }
    Ok(name.to_owned())
}

impl fmt::Debug for PreparedAdministrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedAdministrator")
            .field("account", &self.account.id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CreatedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_from_before_there_were_roles_are_read() {
        for (stored, role) in [
            ("\"admin\":true", Role::Admin),
            ("\"admin\":false", Role::Member),
            ("\"role\":\"edge\"", Role::Edge),
        ] {
            let json = format!(
                r#"{{"id":"key_1","account":"acc_1","name":"n",{stored},"created":1,"hash":"h"}}"#
            );
            let record: ApiKeyRecord = serde_json::from_str(&json).unwrap();
            assert_eq!(record.role, role);
            let again = serde_json::to_string(&record).unwrap();
            let again: ApiKeyRecord = serde_json::from_str(&again).unwrap();
            assert_eq!(again.role, role);
        }
    }

    #[test]
    fn a_key_splits_where_its_id_ends() {
        let (id, secret) = split("adit_key_abc123_se_cr-et").unwrap();
        assert_eq!((id.as_str(), secret), ("key_abc123", "se_cr-et"));
        for bad in [
            "",
            "adit",
            "adit_",
            "adit_key",
            "adit_key_abc",
            "adit_k ey_a_b",
            "other_key_a_b",
        ] {
            assert!(split(bad).is_none(), "{bad}");
        }
    }
}
