//! From a wish and a credential to a name and a source of tokens for it.

use std::{fs, sync::Arc};

use agent::{ControlPlane, StaticToken, TokenSource};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{EndpointName, HostPattern, Hostname, Kind, Label};
use proto::v1;
use tunnel::Secret;

use super::{Provider, ShareOptions, origin::Prepared};
use crate::{
    credentials::Access,
    failure::{Exit, Failure, OrFail},
};

/// An endpoint to bind, and tokens that allow it.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) name: EndpointName,
    pub(super) tokens: Arc<dyn TokenSource>,
    /// Where the provider serves http endpoints in the clear too.
    clear_http_port: Option<u16>,
    kind: Kind,
}

impl Granted {
    pub(super) async fn obtain(
        provider: &Provider,
        access: Access,
        about: &v1::DiscoverResponse,
        prepared: &Prepared,
        options: &ShareOptions,
    ) -> Result<Self, Failure> {
        match access {
            Access::ApiKey(credentials) => {
                let endpoint = provider.claim(wish(prepared, options)?).await?;
                let name = endpoint
                    .name
                    .parse()
                    .or_fail(Exit::Failed, "the provider's answer is not valid")?;
                let claim = endpoint
                    .claim
                    .parse()
                    .or_fail(Exit::Failed, "the provider's answer is not valid")?;
                let key = Secret::from(credentials.api_key.to_string());
                let source = ControlPlane::new(provider.channel(), &key, &[claim], "")
                    .or_fail(Exit::Credential, "the API key is not one")?;
                Ok(Self::new(name, Arc::new(source), about, options))
            }
            Access::Token { token, .. } => {
                let name = match asked_name(options, &about.zone)? {
                    Some(name) => name,
                    None => only_name(token.expose(), options.kind)?,
                };
                let token = Secret::from(token.expose().to_owned());
                Ok(Self::new(
                    name,
                    Arc::new(StaticToken::new(token)),
                    about,
                    options,
                ))
            }
        }
    }
}

impl Granted {
    fn new(
        name: EndpointName,
        tokens: Arc<dyn TokenSource>,
        about: &v1::DiscoverResponse,
        options: &ShareOptions,
    ) -> Self {
        let clear_http_port = u16::try_from(about.clear_http_port)
            .ok()
            .filter(|port| *port > 0);
        Self {
            name,
            tokens,
            clear_http_port,
            kind: options.kind,
        }
    }

    /// The URL that works without a certificate, where there is one.
    pub(super) fn clear_url(&self) -> Option<String> {
        let port = self.clear_http_port.filter(|_| self.kind == Kind::Http)?;
        let Some(HostPattern::Exact(host)) = self.name.host() else {
            return None;
        };
        Some(if port == 80 {
            format!("http://{host}")
        } else {
            format!("http://{host}:{port}")
        })
    }
}

fn wish(prepared: &Prepared, options: &ShareOptions) -> Result<v1::ClaimRequest, Failure> {
    Ok(v1::ClaimRequest {
        kind: proto::kind_to_proto(options.kind).into(),
        host: options.host.clone().unwrap_or_default(),
        port: options.port.map_or(0, u32::from),
        sharing: v1::Sharing::Unspecified.into(),
        machine: machine(),
        target: prepared.label.clone(),
    })
}

/// What tells this machine from others. It is only ever hashed.
fn machine() -> String {
    let files = [
        "/etc/machine-id",
        "/var/lib/dbus/machine-id",
        "/etc/hostname",
    ];
    let found = files
        .iter()
        .find_map(|file| fs::read_to_string(file).ok())
        .unwrap_or_default();
    found.trim().chars().take(128).collect()
}

fn asked_name(options: &ShareOptions, zone: &str) -> Result<Option<EndpointName>, Failure> {
    if let Some(port) = options.port {
        return Ok(Some(EndpointName::Port(port)));
    }
    let Some(host) = &options.host else {
        return Ok(None);
    };
    let whole = || -> Result<HostPattern, model::HostnameError> {
        if host.contains('.') {
            return host.parse();
        }
        zone.parse::<Hostname>()?
            .child(&host.parse::<Label>()?)
            .map(HostPattern::Exact)
    };
    whole()
        .map(|pattern| Some(EndpointName::Host(pattern)))
        .or_fail(Exit::Usage, host)
}

/// The endpoint of this kind that a token names, where it names one. The token is read, not checked: the edge does that.
fn only_name(token: &str, kind: Kind) -> Result<EndpointName, Failure> {
    let details = || -> Option<Vec<serde_json::Value>> {
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
        claims["authorization_details"].as_array().cloned()
    };
    let details = details()
        .ok_or_else(|| Failure::new(Exit::Credential, "this is not a token of a provider"))?;
    let fits = |detail: &&serde_json::Value| {
        detail["kinds"]
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|k| k.as_str() == Some(kind.as_str())))
    };
    let names: Vec<_> = details
        .iter()
        .filter(fits)
        .filter_map(|detail| detail["identifier"].as_str())
        .collect();
    match names.as_slice() {
        [name] => name
            .parse()
            .or_fail(Exit::Credential, "the token names no endpoint"),
        [] => Err(Failure::new(
            Exit::Refused,
            format!("the token is for no {kind} endpoint"),
        )),
        several => Err(Failure::new(
            Exit::Usage,
            format!("the token is for several names: {}", several.join(", ")),
        )
        .advise("choose one with --host or --port")),
    }
}
