//! Tokens for all tunnels of a file: one for whatever is claimed at the moment, or one that a file holds.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use agent::{ControlPlane, Issued, TokenSource, TokenSourceError, TokenSourceErrorKind, TokenWhy};
use async_trait::async_trait;
use model::ClaimId;
use token::ProofKey;
use tokio::sync::Notify;
use tonic::transport::Channel;
use tunnel::Secret;

use crate::{
    credentials,
    failure::{Exit, Failure, OrFail},
};

/// Issues tokens for claims that change while the session lives.
pub(super) struct ClaimTokens {
    source: Mutex<Arc<ControlPlane>>,
    doubt: Notify,
}

impl ClaimTokens {
    pub(super) fn new(channel: Channel, api_key: &Secret) -> Result<Self, Failure> {
        let source = ControlPlane::new(channel, api_key, &[], "")
            .or_fail(Exit::Credential, "the API key is not one")?;
        Ok(Self {
            source: Mutex::new(Arc::new(source)),
            doubt: Notify::new(),
        })
    }

    /// What tokens are for from now on.
    pub(super) fn set(&self, claims: &[ClaimId]) {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        *source = Arc::new(source.with_claims(claims));
    }

    /// Wakes when the provider does not know one of the claims any more.
    pub(super) async fn doubted(&self) {
        self.doubt.notified().await;
    }
}

#[async_trait]
impl TokenSource for ClaimTokens {
    async fn token(&self, why: TokenWhy) -> Result<Issued, TokenSourceError> {
        let source = Arc::clone(&self.source.lock().unwrap_or_else(PoisonError::into_inner));
        source.token(why).await.map_err(|error| {
            if error.kind != TokenSourceErrorKind::Forbidden {
                return error;
            }
            // One endpoint that was released must not end the others: all are claimed anew, and then asked for again.
            self.doubt.notify_one();
            TokenSourceError::new(TokenSourceErrorKind::Unavailable, error.message)
        })
    }

    fn key(&self) -> Option<Arc<ProofKey>> {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        source.key()
    }
}

impl std::fmt::Debug for ClaimTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClaimTokens").finish_non_exhaustive()
    }
}

/// A token in a file that somebody else renews.
#[derive(Debug)]
pub(super) struct FileTokens {
    path: PathBuf,
    last: Mutex<Option<Secret>>,
}

impl FileTokens {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            last: Mutex::new(None),
        }
    }
}

#[async_trait]
impl TokenSource for FileTokens {
    async fn token(&self, why: TokenWhy) -> Result<Issued, TokenSourceError> {
        let text = credentials::read_bounded(&self.path).map_err(|error| {
            TokenSourceError::new(TokenSourceErrorKind::Unavailable, error.to_string())
        })?;
        let token = Secret::from(text.trim().to_owned());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if why != TokenWhy::Initial && last.as_ref() == Some(&token) {
            let message = format!(
                "the token in {} has expired or is not accepted: put a new one there",
                self.path.display()
            );
            return Err(TokenSourceError::new(TokenSourceErrorKind::Fixed, message));
        }
        *last = Some(token.clone());
        Ok(Issued {
            token,
            locations: Vec::new(),
            expires: None,
            session_expires: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_file_is_read_again_when_its_token_is_used_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "one\n").unwrap();
        let tokens = FileTokens::new(path.clone());
        let first = tokens.token(TokenWhy::Initial).await.unwrap();
        assert_eq!(first.token.expose(), "one");
        let same = tokens.token(TokenWhy::Refresh).await.unwrap_err();
        assert_eq!(same.kind, TokenSourceErrorKind::Fixed);
        std::fs::write(&path, "two\n").unwrap();
        let next = tokens.token(TokenWhy::Refresh).await.unwrap();
        assert_eq!(next.token.expose(), "two");
    }
}
