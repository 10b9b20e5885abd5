//! How members are written where serde's own way is not the protocol's.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::limits;

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes the member by reference"
)]
pub(super) const fn is_false(flag: &bool) -> bool {
    !*flag
}

pub(super) const fn keepalive() -> Duration {
    limits::KEEPALIVE
}

/// Text of the peer that goes to logs and terminals: control characters are taken out, and it is cut.
pub(super) fn printable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    clean(deserializer, limits::VISIT_PATH)
}

pub(super) fn agent_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    clean(deserializer, limits::AGENT_NAME)
}

fn clean<'de, D: Deserializer<'de>>(deserializer: D, most: usize) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(text
        .chars()
        .filter(|c| !c.is_control())
        .take(most)
        .collect())
}

pub(super) mod seconds {
    use super::{Deserialize, Deserializer, Duration};

    pub(in super::super) fn serialize<S: serde::Serializer>(
        value: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.as_secs())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

pub(super) mod millis {
    use super::{Deserialize, Deserializer, Duration};

    pub(in super::super) fn serialize<S: serde::Serializer>(
        value: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

pub(super) mod optional_millis {
    use super::{Deserialize, Deserializer, Duration, millis};

    #[expect(clippy::ref_option, reason = "serde passes the member by reference")]
    pub(in super::super) fn serialize<S: serde::Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => millis::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}
