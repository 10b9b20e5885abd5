//! Which rights a program asks for.

use serde::{Deserialize, Serialize};

use super::{
    details::Wish,
    error::{OAuthCode, OAuthError},
    parameters::Parameters,
};
use crate::config;

/// The right to serve names.
pub(crate) const TUNNEL: &str = "tunnel";
/// The right to do what a member of the account may do over the control plane's own interface.
pub(crate) const API: &str = "api";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    Tunnel(Vec<Wish>),
    Api,
}

impl What {
    /// `issuer` is this provider; it names what a token may be for (RFC 8707).
    pub(crate) fn read(parameters: &Parameters, issuer: &str) -> Result<Self, OAuthError> {
        let (is_api, resource) = match parameters.get("scope")?.unwrap_or(TUNNEL) {
            TUNNEL => (false, config::audience(issuer)),
            API => (true, config::api_audience(issuer)),
            _ => {
                let why = "the scopes are tunnel and api, one of them";
                return Err(OAuthError::new(OAuthCode::InvalidScope, why));
            }
        };
        let asked = parameters.get("resource")?;
        if asked.is_some_and(|asked| asked != resource) {
            let why = format_args!("the resource of this scope is {resource}");
            return Err(OAuthError::new(OAuthCode::InvalidTarget, why));
        }
        if !is_api {
            return Ok(Self::Tunnel(Wish::read(parameters)?));
        }
        if parameters.get("authorization_details")?.is_some() {
            let why = "authorization_details are for the scope tunnel";
            return Err(OAuthError::new(OAuthCode::InvalidAuthorizationDetails, why));
        }
        Ok(Self::Api)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<What, OAuthCode> {
        let parameters = Parameters::read(query).unwrap();
        What::read(&parameters, "https://adit.t.example").map_err(|error| error.code)
    }

    #[test]
    fn a_name_to_serve_is_what_is_meant() {
        let one = read("").unwrap();
        assert!(matches!(&one, What::Tunnel(wishes) if wishes.len() == 1));
        assert_eq!(
            read("scope=tunnel&resource=https://adit.t.example/edge"),
            Ok(one)
        );
        assert_eq!(
            read("scope=api&resource=https://adit.t.example/api"),
            Ok(What::Api)
        );
    }

    #[test]
    fn other_rights_there_are_none() {
        use OAuthCode::*;
        for (query, code) in [
            ("scope=admin", InvalidScope),
            ("scope=tunnel+api", InvalidScope),
            ("scope=api&scope=api", InvalidRequest),
            ("resource=https://other.example", InvalidTarget),
            ("resource=https://adit.t.example/api", InvalidTarget),
            (
                "scope=api&resource=https://adit.t.example/edge",
                InvalidTarget,
            ),
            ("authorization_details=[]", InvalidAuthorizationDetails),
            (
                "scope=api&authorization_details=[]",
                InvalidAuthorizationDetails,
            ),
        ] {
            assert_eq!(read(query), Err(code), "{query}");
        }
    }
}
