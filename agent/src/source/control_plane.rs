//! Tokens from a control plane, with an API key.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use model::{ClaimId, UnixTime};
use proto::v1::{self, tokens_client::TokensClient};
use token::{KeyError, ProofKey};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};
use tunnel::Secret;

use super::{Issued, TokenSource, TokenSourceError, TokenSourceErrorKind, TokenWhy};

/// Issues tokens for some claims of the API key's account.
///
/// Every token is a new one, not a refreshed one: the API key outlives any token, so an agent that was away for longer
/// than a refresh allows comes back by itself.
pub struct ControlPlane {
    channel: Channel,
    bearer: MetadataValue<Ascii>,
    request: v1::IssueRequest,
    key: Arc<ProofKey>,
}

#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneError {
    #[error("an API key is made of visible ASCII characters")]
    ApiKey,
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl ControlPlane {
    /// Tokens are bound to a key of this source. `agent` names the tokens' subject; sessions of one subject may take each other's place.
    pub fn new(
        channel: Channel,
        api_key: &Secret,
        claims: &[ClaimId],
        agent: impl Into<String>,
    ) -> Result<Self, ControlPlaneError> {
        let bearer = zeroize::Zeroizing::new(format!("Bearer {}", api_key.expose()));
        let mut bearer =
            MetadataValue::try_from(bearer.as_str()).map_err(|_| ControlPlaneError::ApiKey)?;
        bearer.set_sensitive(true);
        let key = Arc::new(ProofKey::generate()?);
        Ok(Self {
            channel,
            bearer,
            request: v1::IssueRequest {
                claims: claims.iter().map(ToString::to_string).collect(),
                agent: agent.into(),
                key_thumbprint: key.thumbprint(),
                ..v1::IssueRequest::default()
            },
            key,
        })
    }

    /// The same for other claims: its tokens are bound to the same key, so they renew each other's sessions.
    #[must_use]
    pub fn with_claims(&self, claims: &[ClaimId]) -> Self {
        Self {
            channel: self.channel.clone(),
            bearer: self.bearer.clone(),
            request: v1::IssueRequest {
                claims: claims.iter().map(ToString::to_string).collect(),
                ..self.request.clone()
            },
            key: Arc::clone(&self.key),
        }
    }
}

#[async_trait]
impl TokenSource for ControlPlane {
    async fn token(&self, _why: TokenWhy) -> Result<Issued, TokenSourceError> {
        let mut request = Request::new(self.request.clone());
        request
            .metadata_mut()
            .insert("authorization", self.bearer.clone());
        let answer = TokensClient::new(self.channel.clone()).issue(request).await;
        let issued = answer.map_err(|status| failure(&status))?.into_inner();
        Ok(Issued {
            token: Secret::from(issued.token),
            locations: issued.locations,
            expires: Some(UnixTime::from_secs(issued.expires)),
            session_expires: Some(UnixTime::from_secs(issued.session_expires)),
        })
    }

    fn key(&self) -> Option<Arc<ProofKey>> {
        Some(Arc::clone(&self.key))
    }
}

fn failure(status: &Status) -> TokenSourceError {
    let kind = match status.code() {
        Code::Unauthenticated => TokenSourceErrorKind::Credential,
        Code::PermissionDenied | Code::NotFound | Code::InvalidArgument => {
            TokenSourceErrorKind::Forbidden
        }
        _ => TokenSourceErrorKind::Unavailable,
    };
    TokenSourceError::new(
        kind,
        format!("the provider gives no token: {}", status.message()),
    )
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlPlane")
            .field("claims", &self.request.claims)
            .finish_non_exhaustive()
    }
}
