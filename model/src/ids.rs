//! Identifiers. Each kind has its own type and its own prefix, so that one is never taken for another, in code or in a log.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The longest identifier in characters: it stands in store keys, log lines and tokens.
const MAX_LEN: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is 1 to 64 of a-z, A-Z, 0-9, '-' and '_', not {text:?}")]
pub struct IdError {
    what: &'static str,
    text: String,
}

fn checked(what: &'static str, text: &str) -> Result<Arc<str>, IdError> {
    let ok = (1..=MAX_LEN).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if ok {
        Ok(text.into())
    } else {
        Err(IdError {
            what,
            text: text.chars().take(80).collect(),
        })
    }
}

/// Crockford's base 32 in lower case: no vowels that spell words, nothing that looks like something else.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let (mut text, mut buffer, mut bits) = (String::new(), 0u32, 0u32);
    for &byte in bytes {
        buffer = (buffer << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[((buffer >> bits) & 31) as usize]));
        }
    }
    text
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// A new one from 120 random bits.
            pub fn from_random(bits: [u8; 15]) -> Self {
                Self(format!(concat!($prefix, "_{}"), base32(&bits)).into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                checked(stringify!($name), text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// The tenant that owns things.
    AccountId,
    "acc"
);
id!(
    /// The subject of a token: the agent, user or key that acts for an account.
    AgentId,
    "agt"
);
id!(
    /// The public half of an API key; the secret half is only ever kept as a hash.
    ApiKeyId,
    "key"
);
id!(
    /// An endpoint's id. New with every claim, so that a token for a released name stays useless for its next owner.
    ClaimId,
    "clm"
);
id!(
    /// An edge, as its operator named it.
    EdgeId,
    "edg"
);
id!(
    /// What a chain of refreshed tokens has in common.
    GrantId,
    "grt"
);
id!(
    /// A signing key (JWT `kid`).
    KeyId,
    "kid"
);
id!(
    /// One authenticated connection between an agent and an edge.
    SessionId,
    "ses"
);
id!(
    /// One token (JWT `jti`).
    TokenId,
    "tok"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_carry_their_prefix_and_parse() {
        let id = ClaimId::from_random([255; 15]);
        assert_eq!(id.as_str(), "clm_zzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!(id.as_str().parse(), Ok(id));
    }

    #[test]
    fn what_could_break_a_key_is_refused() {
        for bad in ["", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<EdgeId>().is_err(), "{bad:?}");
        }
    }
}
