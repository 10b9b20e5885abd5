//! What an account calls one of its agents.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The longest name in characters: it stands in store keys.
const MAX_LEN: usize = 64;

/// The name of a machine without people, one to an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentName(Arc<str>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an agent's name is 1 to 64 of a-z, A-Z, 0-9, '-', '_' and '.'")]
pub struct AgentNameError;

impl AgentName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AgentName {
    type Err = AgentNameError;

    fn from_str(text: &str) -> Result<Self, AgentNameError> {
        let fits = (1..=MAX_LEN).contains(&text.len());
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if fits && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(AgentNameError)
        }
    }
}

impl TryFrom<String> for AgentName {
    type Error = AgentNameError;

    fn try_from(text: String) -> Result<Self, AgentNameError> {
        text.parse()
    }
}

impl From<AgentName> for String {
    fn from(name: AgentName) -> Self {
        name.0.as_ref().into()
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_break_a_key_is_refused() {
        for good in ["cam1", "hall-3.cam_2", "A"] {
            assert_eq!(good.parse::<AgentName>().unwrap().as_str(), good);
        }
        for bad in ["", "a/b", "a b", "\u{e4}", &"x".repeat(65)] {
            assert_eq!(bad.parse::<AgentName>(), Err(AgentNameError), "{bad:?}");
        }
    }
}
