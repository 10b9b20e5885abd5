//! What the holder of an API key may do at the control plane.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Acts for its own account.
    #[default]
    Member,
    /// Looks after the provider, and acts for every account.
    Admin,
    /// An edge of the provider: joins it and reports to it, and nothing else.
    Edge,
    /// A machine without people: gets tokens for the endpoints it is bound to, and nothing else.
    Agent,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is member, admin, edge or agent")]
pub struct RoleError;

impl Role {
    pub const ALL: [Self; 4] = [Self::Member, Self::Admin, Self::Edge, Self::Agent];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Edge => "edge",
            Self::Agent => "agent",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(RoleError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_reads_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert_eq!("Admin".parse::<Role>(), Err(RoleError));
    }
}
