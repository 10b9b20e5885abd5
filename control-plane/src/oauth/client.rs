//! Who asks. Nobody registers and no client has a secret (RFC 6749, section 2.1: public clients).

use serde::{Deserialize, Serialize};

use super::error::{OAuthCode, OAuthError};

/// Room for a URL.
const MAX_ID: usize = 200;

/// A program without a browser; its id is what it says, and proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Client(String);

impl Client {
    pub(crate) fn device(id: &str) -> Result<Self, OAuthError> {
        let is_name =
            (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_name {
            let why = "client_id has 1 to 200 visible ASCII characters";
            return Err(OAuthError::new(OAuthCode::InvalidClient, why));
        }
        Ok(Self(id.to_owned()))
    }

    /// `client_id`, as it goes into tokens.
    pub(crate) fn id(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_a_name_of_its_own_choice() {
        assert_eq!(Client::device("Camera/1.2").unwrap().id(), "Camera/1.2");
        for name in ["", "a b", "a\n", "é", &"x".repeat(201)] {
            assert!(Client::device(name).is_err(), "{name}");
        }
    }
}
