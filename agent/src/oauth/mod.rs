//! Signing a program in at a provider that it holds nothing of, with a code that is answered elsewhere (RFC 8628).

mod http;

use std::{fmt, io, sync::Arc, time::Duration};

use form_urlencoded::Serializer;
use rustls::RootCertStore;
use serde::Deserialize;
use serde_json::Value;
use tunnel::Secret;

/// RFC 8414, section 3.
const METADATA: &str = "/.well-known/oauth-authorization-server";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Added to the pause whenever the server finds it too short (RFC 8628, section 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// Pauses that a server may ask for.
const MAX_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error("{0} cannot be reached: {1}")]
    Unreachable(String, io::Error),
    #[error("{0} is no provider that programs can sign in at: {1}")]
    NoProvider(String, String),
    #[error("the answer was no")]
    Denied,
    #[error("nobody has answered in time")]
    Expired,
    /// Another error of the server (RFC 6749, section 5.2).
    #[error("the provider refused: {0}")]
    Refused(String),
}

/// A provider's authorization server.
#[derive(Clone)]
pub struct AuthorizationServer {
    metadata: Metadata,
    roots: Arc<RootCertStore>,
}

#[derive(Clone, Deserialize)]
struct Metadata {
    issuer: String,
    token_endpoint: String,
    device_authorization_endpoint: String,
    revocation_endpoint: String,
}

/// What is shown to whoever is to answer, and what the program asks with meanwhile.
pub struct DeviceCode {
    pub user_code: String,
    pub verification_uri: String,
    device_code: Secret,
    interval: Duration,
}

/// An access token, as it was given.
#[derive(Debug)]
pub struct AccessToken {
    pub token: Secret,
    refresh: Option<Secret>,
}

#[derive(Deserialize)]
struct Begun {
    device_code: String,
    user_code: String,
    verification_uri: String,
    #[serde(default = "default_interval")]
    interval: u64,
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    refresh_token: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl AuthorizationServer {
    /// Reads what the provider at `url` says of itself. It has to be `url` that speaks (RFC 8414, section 3.3).
    pub async fn discover(url: &str, roots: Arc<RootCertStore>) -> Result<Self, SignInError> {
        let url = url.trim_end_matches('/');
        let asked = http::ask(&format!("{url}{METADATA}"), None, roots.clone()).await;
        let (status, body) = asked.map_err(|error| SignInError::Unreachable(url.into(), error))?;
        let not_one = |why: String| SignInError::NoProvider(url.into(), why);
        if !status.is_success() {
            return Err(not_one(format!("it answers {status}")));
        }
        let metadata: Metadata =
            serde_json::from_slice(&body).map_err(|error| not_one(error.to_string()))?;
        if metadata.issuer.trim_end_matches('/') != url {
            return Err(not_one(format!("its name is {}", metadata.issuer)));
        }
        Ok(Self { metadata, roots })
    }

    /// Asks for a code for rights of `scope`.
    pub async fn begin_device(&self, client: &str, scope: &str) -> Result<DeviceCode, SignInError> {
        let form = [("client_id", client), ("scope", scope)];
        let endpoint = &self.metadata.device_authorization_endpoint;
        let begun: Begun = self.post(endpoint, &form).await?.map_err(refused)?;
        Ok(DeviceCode {
            user_code: begun.user_code,
            verification_uri: begun.verification_uri,
            device_code: begun.device_code.into(),
            interval: Duration::from_secs(begun.interval).min(MAX_INTERVAL),
        })
    }

    /// Waits for an answer, as long as the code lives.
    pub async fn wait(&self, client: &str, code: &DeviceCode) -> Result<AccessToken, SignInError> {
        let form = [
            ("grant_type", DEVICE_GRANT),
            ("device_code", code.device_code.expose()),
            ("client_id", client),
        ];
        let mut pause = code.interval;
        loop {
            tokio::time::sleep(pause).await;
            let asked = self.post(&self.metadata.token_endpoint, &form).await;
            let answer: Result<Given, Refused> = match asked {
                // What cannot be reached now can be in a moment; the code has an end.
                Err(SignInError::Unreachable(..)) => {
                    pause = (pause * 2).min(MAX_INTERVAL);
                    continue;
                }
                asked => asked?,
            };
            match answer {
                Ok(given) => return Ok(given.into()),
                Err(refusal) => match refusal.error.as_str() {
                    "authorization_pending" => {}
                    "slow_down" => pause = (pause + SLOWER).min(MAX_INTERVAL),
                    "access_denied" => return Err(SignInError::Denied),
                    "expired_token" => return Err(SignInError::Expired),
                    _ => return Err(refused(refusal)),
                },
            }
        }
    }

    /// Gives back what is not needed any more.
    pub async fn revoke(&self, client: &str, token: AccessToken) -> Result<(), SignInError> {
        let token = token.refresh.unwrap_or(token.token);
        let form = [("token", token.expose()), ("client_id", client)];
        let endpoint = &self.metadata.revocation_endpoint;
        let _: Value = self.post(endpoint, &form).await?.map_err(refused)?;
        Ok(())
    }

    async fn post<T: for<'de> Deserialize<'de>>(
        &self,
        url: &str,
        form: &[(&str, &str)],
    ) -> Result<Result<T, Refused>, SignInError> {
        let form = Serializer::new(String::new()).extend_pairs(form).finish();
        let asked = http::ask(url, Some(form), self.roots.clone()).await;
        let (status, body) = asked.map_err(|error| SignInError::Unreachable(url.into(), error))?;
        let odd = |_| SignInError::NoProvider(url.into(), format!("it answers {status}"));
        if status.is_success() {
            return serde_json::from_slice(&body).map(Ok).map_err(odd);
        }
        serde_json::from_slice(&body).map(Err).map_err(odd)
    }
}

impl From<Given> for AccessToken {
    fn from(given: Given) -> Self {
        Self {
            token: given.access_token.into(),
            refresh: given.refresh_token.map(Into::into),
        }
    }
}

const fn default_interval() -> u64 {
    5
}

fn refused(refusal: Refused) -> SignInError {
    let Refused {
        error,
        error_description,
    } = refusal;
    SignInError::Refused(format!("{error_description} ({error})"))
}

impl fmt::Debug for AuthorizationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationServer")
            .field("issuer", &self.metadata.issuer)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceCode")
            .field("verification_uri", &self.verification_uri)
            .finish_non_exhaustive()
    }
}
