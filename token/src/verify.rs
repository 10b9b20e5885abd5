//! Checking a token offline. The order is fixed: form, key, signature, and only then what it says.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use model::{KeyId, UnixTime};
use serde::{Deserialize, Deserializer, de::IgnoredAny};

use crate::{Claims, KeySet, wire::Payload};

/// The longest token: it must fit a control line of 16 KiB with room for the rest of a hello.
pub const MAX_TOKEN_LEN: usize = 8 * 1024;
/// How far the issuer's clock may run ahead of ours: `nbf` and `iat` are compared with this much patience. `exp` has
/// none, since a token that is a minute too long alive is a minute too long stolen.
pub const LEEWAY: Duration = Duration::from_secs(60);

/// Who must have issued the token, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    pub issuer: String,
    pub audience: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is longer than {MAX_TOKEN_LEN} characters")]
    TooLong,
    #[error("this is not a token: {0}")]
    Malformed(&'static str),
    #[error("the token's typ is not at+jwt (RFC 9068)")]
    Type,
    #[error("the token is not signed with EdDSA")]
    Algorithm,
    #[error("the token's header asks for extensions (crit) that are not known here")]
    Critical,
    #[error("the token is signed with key {0}, which this provider does not have")]
    UnknownKey(KeyId),
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token's claims are not valid: {0}")]
    Claims(String),
    #[error("the token comes from another provider")]
    Issuer,
    #[error("the token is not meant for this provider's edges")]
    Audience,
    #[error("the token is not valid yet: check the clocks")]
    NotYetValid,
    #[error("the token has expired")]
    Expired,
}

#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    typ: String,
    #[serde(default)]
    alg: String,
    kid: Option<KeyId>,
    /// That it is there is enough: we know no extension, and `"crit":null` is no way round one.
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

/// The claims of `token`, if it is one of ours and valid at `now`. Revocations are checked apart from this
/// ([`crate::Revocations`]).
pub fn verify(
    token: &str,
    keys: &KeySet,
    expect: &Expect,
    now: UnixTime,
) -> Result<Claims, TokenError> {
    if token.len() > MAX_TOKEN_LEN {
        return Err(TokenError::TooLong);
    }
    let (message, signature) = token
        .rsplit_once('.')
        .ok_or(TokenError::Malformed("it has no parts"))?;
    let (header, payload) = message
        .split_once('.')
        .ok_or(TokenError::Malformed("it has no three parts"))?;
    let key = key(header, keys)?;
    let authentic = crypto::verify(signature, message.as_bytes(), &key, Algorithm::EdDSA);
    if !authentic.unwrap_or(false) {
        return Err(TokenError::Signature);
    }
    let payload: Payload = serde_json::from_slice(&decode(payload)?)
        .map_err(|error| TokenError::Claims(error.to_string()))?;
    check(payload, expect, now)
}

fn key(header: &str, keys: &KeySet) -> Result<DecodingKey, TokenError> {
    let header: Header = serde_json::from_slice(&decode(header)?)
        .map_err(|_| TokenError::Malformed("its header is not a JOSE header"))?;
    // "application/" may be left out, and case does not count (RFC 7515, section 4.1.9; RFC 9068, section 4).
    let typ = header.typ.to_ascii_lowercase();
    if typ.strip_prefix("application/").unwrap_or(&typ) != "at+jwt" {
        return Err(TokenError::Type);
    }
    if header.alg != "EdDSA" {
        return Err(TokenError::Algorithm);
    }
    if header.crit {
        return Err(TokenError::Critical);
    }
    let kid = header
        .kid
        .ok_or(TokenError::Malformed("its header has no kid"))?;
    let key = keys.get(&kid).ok_or(TokenError::UnknownKey(kid))?;
    Ok(DecodingKey::from_ed_der(key.bytes()))
}

fn check(payload: Payload, expect: &Expect, now: UnixTime) -> Result<Claims, TokenError> {
    if payload.issuer() != expect.issuer {
        return Err(TokenError::Issuer);
    }
    if !payload.is_for(&expect.audience) {
        return Err(TokenError::Audience);
    }
    let claims = payload
        .into_claims(&expect.audience)
        .map_err(TokenError::Claims)?;
    if claims.not_before > now.plus(LEEWAY) || claims.issued > now.plus(LEEWAY) {
        return Err(TokenError::NotYetValid);
    }
    if claims.expires <= now {
        return Err(TokenError::Expired);
    }
    Ok(claims)
}

fn present<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed("a part is not base64url"))
}

#[cfg(test)]
pub(crate) mod tests;
