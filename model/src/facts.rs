//! Facts that edges and DNS read from the store, besides endpoints and keys.

use serde::{Deserialize, Serialize};

use crate::{AccountId, AgentId, ClaimId, EdgeId, GrantId, Region, SessionId, TokenId, UnixTime};

/// `public/edge/ID`: an edge that is up, under its lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeFact {
    pub id: EdgeId,
    pub region: Region,
    /// Where agents reach it, `https://host:port`, TCP and UDP alike.
    pub url: String,
    pub draining: bool,
    pub started: UnixTime,
}

/// `public/placement/EDGE/SESSION`: a session at an edge binds endpoints, under the edge's lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementFact {
    pub edge: EdgeId,
    pub session: SessionId,
    pub agent: AgentId,
    pub endpoints: Vec<ClaimId>,
    /// `quic` or `tcp`, for people to read.
    pub transport: String,
    pub since: UnixTime,
}

/// What is revoked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "what", content = "id")]
pub enum Revocation {
    /// One token.
    Token(TokenId),
    /// Every token of one chain of refreshes.
    Grant(GrantId),
    /// Every token that names this claim, issued before the fact's time.
    Claim(ClaimId),
    /// Every token of this account, issued before the fact's time.
    Account(AccountId),
}

/// `public/revocation/KIND/ID`. A token issued at or before `at` is refused; the fact may be forgotten after `until`, when
/// every token and session it could touch has expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationFact {
    #[serde(flatten)]
    pub revoked: Revocation,
    pub at: UnixTime,
    pub until: UnixTime,
}
