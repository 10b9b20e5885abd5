//! When keys are published, sign and leave. The next key is in every JWKS long before it signs its first token, so that no
//! replica, however late, meets a token whose key it has never seen.

use std::time::Duration;

use model::{KeyId, UnixTime};
use serde::{Deserialize, Serialize};

use crate::LEEWAY;

/// How long a key is published before it signs: longer than any cache of a JWKS is kept.
pub const OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// How long a key signs.
pub const SIGNING_PERIOD: Duration = Duration::from_secs(30 * 24 * 3600);

/// The times of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    pub kid: KeyId,
    pub published: UnixTime,
    pub signs_from: UnixTime,
    pub signs_until: UnixTime,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make a key with these times and publish it.
    Publish {
        signs_from: UnixTime,
        signs_until: UnixTime,
    },
    /// Take the key out of the JWKS: no token that it signed is valid any more.
    Retire(KeyId),
}

/// The key that signs at `now`: the youngest of those whose time has come. If the time of all is over (a provider that was
/// down for longer than a period), the one whose time began last goes on: better an old key that all know than a new one that
/// none know. If none has begun (a clock that went back), the one that begins first, for the same reason.
pub fn signer(keys: &[KeyRecord], now: UnixTime) -> Option<&KeyRecord> {
    // Replicas must agree, in whatever order they read the keys: hence the id.
    let age = |key: &&KeyRecord| (key.signs_from, key.signs_until, key.kid.clone());
    let started = keys.iter().filter(|key| key.signs_from <= now);
    started
        .max_by_key(age)
        .or_else(|| keys.iter().min_by_key(age))
}

/// The steps that are due. `token_ttl` is the longest time that a token can be valid.
pub fn plan(keys: &[KeyRecord], token_ttl: Duration, now: UnixTime) -> Vec<Step> {
    let Some(current) = signer(keys, now) else {
        // The first key of a provider signs at once: there is nobody yet who could not know it.
        return vec![Step::Publish {
            signs_from: now,
            signs_until: now.plus(SIGNING_PERIOD),
        }];
    };
    let next = successor(keys, current, now);
    let dead = keys
        .iter()
        .filter(|key| is_dead(key, current, token_ttl, now));
    next.into_iter()
        .chain(dead.map(|key| Step::Retire(key.kid.clone())))
        .collect()
}

fn successor(keys: &[KeyRecord], current: &KeyRecord, now: UnixTime) -> Option<Step> {
    let has_next = keys.iter().any(|key| key.signs_from > now);
    if has_next || current.signs_until > now.plus(OVERLAP) {
        return None;
    }
    let signs_from = current.signs_until.max(now.plus(OVERLAP));
    Some(Step::Publish {
        signs_from,
        signs_until: signs_from.plus(SIGNING_PERIOD),
    })
}

/// True when nothing that `key` signed can be valid any more. A replaced key signs until its successor starts, however late
/// that was, and on a replica whose clock is behind a little longer; an edge's clock may be behind as well.
fn is_dead(key: &KeyRecord, current: &KeyRecord, token_ttl: Duration, now: UnixTime) -> bool {
    let last_signature = key.signs_until.max(current.signs_from).plus(LEEWAY);
    let last_expiry = last_signature.plus(token_ttl);
    key.signs_from < current.signs_from && last_expiry.plus(LEEWAY) < now
}

#[cfg(test)]
mod tests;
