//! What a token says, in the vocabulary of the model.

use model::{AccountId, AgentId, Grant, GrantId, Revision, TokenId, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub issuer: String,
    pub audience: String,
    /// Whoever acts with the token.
    pub subject: AgentId,
    pub account: AccountId,
    /// The OAuth client that the token was issued to (RFC 9068, section 2.2).
    pub client: String,
    pub id: TokenId,
    pub grant_id: GrantId,
    pub grant: Grant,
    pub issued: UnixTime,
    pub not_before: UnixTime,
    /// Until when the token opens sessions.
    pub expires: UnixTime,
    /// Until when a session that it opened lives.
    pub session_expires: UnixTime,
    /// The store's revision at issue: a replica that is older may not know the claims yet.
    pub revision: Revision,
    /// Thumbprint of the key that the bearer must prove (RFC 7800, RFC 9449 `jkt`).
    pub confirmation: Option<String>,
}
