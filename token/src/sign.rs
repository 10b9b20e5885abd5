//! Making a token.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{Claims, SigningKey, verify::MAX_TOKEN_LEN, wire::Payload};

/// A signed token. It is a secret: whoever holds it can use it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error(
        "a token has at most {MAX_TOKEN_LEN} characters, this one has {0}: grant fewer endpoints"
    )]
    TooLong(usize),
    #[error("the token cannot be signed: {0}")]
    Crypto(String),
}

impl SigningKey {
    pub fn sign(&self, claims: &Claims) -> Result<Token, SignError> {
        let failed = |error: &dyn fmt::Display| SignError::Crypto(error.to_string());
        let header = json!({"typ": "at+jwt", "alg": "EdDSA", "kid": self.id().as_str()});
        let payload = serde_json::to_vec(&Payload::from(claims)).map_err(|e| failed(&e))?;
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let key = EncodingKey::from_ed_der(&self.to_pkcs8());
        let signature =
            crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).map_err(|e| failed(&e))?;
        let token = format!("{message}.{signature}");
        if token.len() > MAX_TOKEN_LEN {
            return Err(SignError::TooLong(token.len()));
        }
        Ok(Token::from(token))
    }
}

impl Token {
    /// The text itself, for the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Token {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
