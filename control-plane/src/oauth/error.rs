//! What a client is told when it cannot have what it asks for.

use std::fmt;

use serde::Serialize;
use store::StoreError;

use crate::{ControlError, ErrorCode};

/// The registered codes that are used here (IANA, *OAuth Extensions Error*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OAuthCode {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    InvalidScope,
    /// RFC 8707, section 2.
    InvalidTarget,
    /// RFC 9396, section 5.
    InvalidAuthorizationDetails,
    UnsupportedGrantType,
    AccessDenied,
    ServerError,
    TemporarilyUnavailable,
    /// RFC 8628, section 3.5, as the next two.
    AuthorizationPending,
    SlowDown,
    ExpiredToken,
}

/// A code and a sentence for the developer of the client (RFC 6749, section 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{code}: {description}")]
pub(crate) struct OAuthError {
    #[serde(rename = "error")]
    pub(crate) code: OAuthCode,
    #[serde(rename = "error_description")]
    pub(crate) description: String,
}

impl OAuthCode {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidAuthorizationDetails => "invalid_authorization_details",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::AccessDenied => "access_denied",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
        }
    }
}

impl OAuthError {
    pub(crate) fn new(code: OAuthCode, description: impl fmt::Display) -> Self {
        Self {
            code,
            description: description.to_string().chars().map(plain).collect(),
        }
    }

    pub(crate) fn invalid_request(description: impl fmt::Display) -> Self {
        Self::new(OAuthCode::InvalidRequest, description)
    }

    pub(crate) fn invalid_grant(description: impl fmt::Display) -> Self {
        Self::new(OAuthCode::InvalidGrant, description)
    }
}

impl fmt::Display for OAuthCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<ControlError> for OAuthError {
    fn from(error: ControlError) -> Self {
        match error.code {
            ErrorCode::Unavailable => Self::new(OAuthCode::TemporarilyUnavailable, error),
            ErrorCode::Internal => {
                tracing::error!(%error, "a request for a token failed");
                Self::new(OAuthCode::ServerError, "the provider failed")
            }
            ErrorCode::Invalid => Self::invalid_request(error),
            // The person or the name has lost the right since it was given.
            _ => Self::invalid_grant(error),
        }
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        ControlError::from(error).into()
    }
}

/// RFC 6749, appendix A.8.
const fn plain(char: char) -> char {
    match char {
        '"' => '\'',
        ' '..='[' | ']'..='~' => char,
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_holds_what_may_stand_in_one() {
        let error = OAuthError::invalid_request("\"é\"\r\n\\ ok");
        assert_eq!(error.description, "'?'??? ok");
        let json = serde_json::to_value(&error).unwrap();
        assert_eq!(json["error"], "invalid_request");
    }

    #[test]
    fn a_code_is_the_same_in_json_and_in_urls() {
        for code in [OAuthCode::SlowDown, OAuthCode::InvalidTarget] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
