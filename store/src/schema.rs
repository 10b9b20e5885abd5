//! Which version the store's layout and values are in, so that no program works on what it does not understand.
//!
//! The version stands at `public/schema`, where edges can read it too. A control plane writes it at the first start, migrates an
//! older store, and refuses a newer one: a newer program may have given keys a meaning that this one would break.

use model::Revision;
use serde::{Deserialize, Serialize};

use crate::{
    Commit, Entry, Key, Prefix, Root, Store, StoreError, Transaction, Value, backup::Marker,
    layout, typed,
};

/// The version that this program reads and writes. A change that an older program would misunderstand raises it, and adds a
/// [`Migration`]; a new member or key that older programs pass over does not.
pub const SCHEMA: u32 = 1;

/// What one entry of one version is in the next one; `None` leaves it as it is. A migration may be interrupted and begun anew,
/// so it must leave what it has changed already as it is. What is under `secret/` is sealed, and no migration sees it.
pub type Migration = fn(&Entry) -> Option<Value>;

/// From version 1 to 2, from 2 to 3, and so on.
const MIGRATIONS: [Migration; SCHEMA as usize - 1] = [];

/// Roots whose values a migration may change.
const MIGRATED: [Root; 2] = [Root::Account, Root::Public];
/// Tries of a compare-and-commit that other control planes get in the way of.
const TRIES: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    pub version: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error(
        "the store has schema version {found}, this program knows {known}: use a newer adit, or restore a backup of before"
    )]
    Newer { found: u32, known: u32 },
    #[error("a backup was restored only in part: run the same `adit admin restore` again")]
    Restoring,
    #[error("others change the schema version at the same time: start again")]
    Contended,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Looks, changes nothing: for those who only read. A store without a version is an empty one, or older than versions are.
pub async fn check(store: &dyn Store) -> Result<(), SchemaError> {
    match version(store).await? {
        Some((found, _)) => known(found, SCHEMA),
        None => Ok(()),
    }
}

/// Makes the store ready for this program: writes the version, or migrates to it.
pub async fn prepare(store: &dyn Store) -> Result<(), SchemaError> {
    migrate(store, &MIGRATIONS).await
}

async fn migrate(store: &dyn Store, migrations: &[Migration]) -> Result<(), SchemaError> {
    let newest = u32::try_from(migrations.len()).unwrap_or(u32::MAX) + 1;
    for _ in 0..TRIES {
        if typed::get::<Marker>(store, &layout::restore())
            .await?
            .is_some()
        {
            return Err(SchemaError::Restoring);
        }
        let key = layout::schema();
        let unmarked = match version(store).await? {
            Some((found, _)) if found == newest => return Ok(()),
            Some((found, seen)) => {
                known(found, newest)?;
                let steps = migrations.iter().skip(found.saturating_sub(1) as usize);
                for step in steps {
                    rewrite(store, *step).await?;
                }
                Transaction::new().if_revision(key.clone(), seen)
            }
            // Stores from before there were versions are laid out as version 1 is.
            None if newest > 1 && has_accounts(store).await? => {
                write(store, Transaction::new().if_absent(key.clone()), key, 1).await?;
                continue;
            }
            None => Transaction::new().if_absent(key.clone()),
        };
        if write(store, unmarked, key, newest).await? {
            tracing::info!(version = newest, "the store's schema version is written");
            return Ok(());
        }
    }
    Err(SchemaError::Contended)
}

async fn write(
    store: &dyn Store,
    unmarked: Transaction,
    key: Key,
    version: u32,
) -> Result<bool, StoreError> {
    let marked = unmarked.put(key, Value::json(&Schema { version })?);
    Ok(matches!(store.commit(marked).await?, Commit::Done(_)))
}

async fn version(store: &dyn Store) -> Result<Option<(u32, Revision)>, StoreError> {
    let found = typed::get::<Schema>(store, &layout::schema()).await?;
    Ok(found.map(|(schema, revision)| (schema.version, revision)))
}

async fn has_accounts(store: &dyn Store) -> Result<bool, StoreError> {
    let page = store.read(&(&layout::accounts()).into(), None, 1).await?;
    Ok(!page.entries.is_empty())
}

fn known(found: u32, known: u32) -> Result<(), SchemaError> {
    if found <= known {
        Ok(())
    } else {
        Err(SchemaError::Newer { found, known })
    }
}

/// One entry a commit: whoever changes the same entry meanwhile wins, and what he wrote is looked at again.
async fn rewrite(store: &dyn Store, step: Migration) -> Result<(), SchemaError> {
    for root in MIGRATED {
        let mut unseen = TRIES;
        loop {
            let (entries, _) = typed::entries(store, &Prefix::from(root)).await?;
            let mut lost = false;
            for entry in entries {
                let Some(value) = step(&entry) else { continue };
                let change = Transaction::new()
                    .if_revision(entry.key.clone(), entry.modified)
                    .put(entry.key, value);
                lost |= store.commit(change).await? == Commit::Conflict;
            }
            if !lost {
                break;
            }
            unseen -= 1;
            if unseen == 0 {
                return Err(SchemaError::Contended);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Embedded;

    async fn put(store: &dyn Store, key: &str, value: &'static str) {
        let key: Key = key.parse().unwrap();
        let _ = store
            .commit(Transaction::new().put(key, value))
            .await
            .unwrap();
    }

    async fn value(store: &dyn Store, key: &str) -> String {
        let key: Key = key.parse().unwrap();
        let page = store.read(&(&key).into(), None, 1).await.unwrap();
        String::from_utf8(page.entries[0].value.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn an_empty_store_gets_the_version_and_a_newer_one_is_refused() {
        let store = Embedded::in_memory().unwrap();
        check(&store).await.unwrap();
        prepare(&store).await.unwrap();
        prepare(&store).await.unwrap();
        assert_eq!(version(&store).await.unwrap().unwrap().0, SCHEMA);
        put(&store, "public/schema", "{\"version\":99}").await;
        for refused in [prepare(&store).await, check(&store).await] {
            let refused = refused.unwrap_err();
            assert!(
                matches!(refused, SchemaError::Newer { found: 99, .. }),
                "{refused}"
            );
        }
    }

    /// What the tests' second version calls `old` is `new` in the third.
    fn renamed(entry: &Entry) -> Option<Value> {
        (entry.value == "\"old\"").then(|| "\"new\"".into())
    }

    fn untouched(_: &Entry) -> Option<Value> {
        None
    }

    #[tokio::test]
    async fn an_older_store_is_migrated_step_by_step_and_once() {
        let store = Embedded::in_memory().unwrap();
        put(&store, "account/acc_1/profile", "\"old\"").await;
        put(&store, "account/acc_2/profile", "\"other\"").await;
        // Without a version, as stores were before there were versions.
        migrate(&store, &[untouched, renamed]).await.unwrap();
        assert_eq!(version(&store).await.unwrap().unwrap().0, 3);
        assert_eq!(value(&store, "account/acc_1/profile").await, "\"new\"");
        assert_eq!(value(&store, "account/acc_2/profile").await, "\"other\"");
        put(&store, "account/acc_3/profile", "\"old\"").await;
        migrate(&store, &[untouched, renamed]).await.unwrap();
        assert_eq!(
            value(&store, "account/acc_3/profile").await,
            "\"old\"",
            "what version 3 calls old is not touched"
        );
        let refused = prepare(&store).await.unwrap_err();
        assert!(matches!(refused, SchemaError::Newer { found: 3, .. }));
    }
}
