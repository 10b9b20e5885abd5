//! One token that was handed over, and cannot be renewed by us.

use async_trait::async_trait;
use tunnel::Secret;

use super::{Issued, TokenSource, TokenSourceError, TokenSourceErrorKind, TokenWhy};

#[derive(Debug)]
pub struct StaticToken(Secret);

impl StaticToken {
    pub const fn new(token: Secret) -> Self {
        Self(token)
    }
}

#[async_trait]
impl TokenSource for StaticToken {
    async fn token(&self, why: TokenWhy) -> Result<Issued, TokenSourceError> {
        match why {
            TokenWhy::Initial => Ok(Issued {
                token: self.0.clone(),
                locations: Vec::new(),
                expires: None,
                session_expires: None,
            }),
            TokenWhy::Refresh | TokenWhy::AfterExpiry => Err(TokenSourceError::new(
                TokenSourceErrorKind::Fixed,
                "the token has expired or is not accepted: hand over a new one",
            )),
        }
    }
}
