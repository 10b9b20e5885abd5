//! When keys are published, sign and leave. The next key is in every JWKS long before it signs its first token, so that no
//! replica, however late, meets a token whose key it has never seen.

use std::time::Duration;

use model::{KeyId, UnixTime};
use serde::{Deserialize, Serialize};

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

/// The key that signs at `now`: the youngest of those whose time has come. If none has (a provider that was down for
/// longer than a period), the one whose time ended last: better an old key that all know than a new one that none know.
pub fn signer(keys: &[KeyRecord], now: UnixTime) -> Option<&KeyRecord> {
    let started = keys.iter().filter(|key| key.signs_from <= now);
    started.max_by_key(|key| (key.signs_from, key.signs_until))
}

/// The steps that are due. `token_ttl` is the longest time that a token can be valid.
pub fn plan(keys: &[KeyRecord], token_ttl: Duration, now: UnixTime) -> Vec<Step> {
    let mut steps = Vec::new();
    let Some(current) = signer(keys, now) else {
        // The first key of a provider signs at once: there is nobody yet who could not know it.
        return vec![Step::Publish {
            signs_from: now,
            signs_until: now.plus(SIGNING_PERIOD),
        }];
    };
    let has_next = keys.iter().any(|key| key.signs_from > now);
    if !has_next && current.signs_until <= now.plus(OVERLAP) {
        let signs_from = current.signs_until.max(now.plus(OVERLAP));
        steps.push(Step::Publish {
            signs_from,
            signs_until: signs_from.plus(SIGNING_PERIOD),
        });
    }
    // A replaced key signs until its successor starts, however late that was.
    let replaced = keys
        .iter()
        .filter(|key| key.signs_from < current.signs_from);
    for key in replaced {
        let last_signature = key.signs_until.max(current.signs_from);
        if last_signature.plus(token_ttl) < now {
            steps.push(Step::Retire(key.kid.clone()));
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TTL: Duration = Duration::from_secs(600);

    /// Runs the plan at each of the moments and checks what must hold at every one of them.
    fn run(moments: impl Iterator<Item = u64>) -> Vec<KeyRecord> {
        let mut keys: Vec<KeyRecord> = Vec::new();
        let mut retired: Vec<(KeyRecord, UnixTime)> = Vec::new();
        // The last moment at which each key may have signed.
        let mut last_signed = std::collections::BTreeMap::new();
        for moment in moments {
            let now = UnixTime::from_secs(moment);
            for step in plan(&keys, TTL, now) {
                match step {
                    Step::Publish {
                        signs_from,
                        signs_until,
                    } => {
                        assert!(
                            keys.is_empty() || signs_from >= now.plus(OVERLAP),
                            "signs too early"
                        );
                        let kid = format!("kid_{}", keys.len() + retired.len())
                            .parse()
                            .unwrap();
                        keys.push(KeyRecord {
                            kid,
                            published: now,
                            signs_from,
                            signs_until,
                        });
                    }
                    Step::Retire(kid) => {
                        let at = keys.iter().position(|key| key.kid == kid).unwrap();
                        let signed: UnixTime = last_signed
                            .get(&kid)
                            .copied()
                            .unwrap_or(UnixTime::from_secs(0));
                        assert!(signed.plus(TTL) < now, "a token of {kid} may be alive");
                        retired.push((keys.remove(at), now));
                    }
                }
            }
            let signer = signer(&keys, now).expect("a key signs at every moment");
            last_signed.insert(signer.kid.clone(), now);
            assert!(keys.len() <= 3, "{keys:?}");
        }
        keys
    }

    #[test]
    fn a_year_of_hours_rotates_monthly() {
        let keys = run((0..365 * 24).map(|hour| 1_000_000 + hour * 3600));
        assert!(
            keys.iter()
                .any(|key| key.published.as_secs() > 1_000_000 + 330 * 24 * 3600)
        );
    }

    proptest! {
        #[test]
        fn holds_for_any_gaps(gaps in prop::collection::vec(1_u64..5_000_000, 1..200)) {
            let mut now = 1_000_000;
            run(gaps.into_iter().map(|gap| { now += gap; now }));
        }
    }
}
