//! Values as types: one key, or a whole folder at one revision.

use model::Revision;
use serde::de::DeserializeOwned;

use crate::{Entry, Key, Prefix, Range, Store, StoreError};

/// Entries asked for at a time: few round trips, and a page that stays far below a gRPC message.
const PAGE: usize = 500;

/// The value, and the revision to give to `Transaction::if_revision`.
pub async fn get<T: DeserializeOwned>(
    store: &dyn Store,
    key: &Key,
) -> Result<Option<(T, Revision)>, StoreError> {
    let page = store.read(&Range::from(key), None, 1).await?;
    match page.entries.first() {
        Some(entry) => Ok(Some((entry.json()?, entry.modified))),
        None => Ok(None),
    }
}

/// Every value under `prefix` as it was at the revision given back.
pub async fn list<T: DeserializeOwned>(
    store: &dyn Store,
    prefix: &Prefix,
) -> Result<(Vec<(Key, T)>, Revision), StoreError> {
    let (entries, revision) = entries(store, prefix).await?;
    let typed = entries
        .into_iter()
        .map(|entry| Ok((entry.key.clone(), entry.json()?)))
        .collect::<Result<_, StoreError>>()?;
    Ok((typed, revision))
}

/// Every entry under `prefix` as it was at the revision given back.
pub async fn entries(
    store: &dyn Store,
    prefix: &Prefix,
) -> Result<(Vec<Entry>, Revision), StoreError> {
    let first = store.read(&Range::from(prefix), None, PAGE).await?;
    let (mut entries, mut next) = (first.entries, first.next);
    while let Some(range) = next {
        let page = store.read(&range, Some(first.revision), PAGE).await?;
        entries.extend(page.entries);
        next = page.next;
    }
    Ok((entries, first.revision))
}
