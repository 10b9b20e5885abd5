//! From a wish and a credential to a name and a source of tokens for it.

use std::{fs, sync::Arc};

use agent::{ControlPlane, StaticToken, TokenSource};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{ClaimId, EndpointName, HostPattern, Hostname, Kind, Label, Sharing};
use proto::v1;
use tunnel::Secret;

use super::{Located, Provider, TunnelOptions, origin::Prepared};
use crate::{
    credentials::Access,
    failure::{Exit, Failure, OrFail},
};

/// An endpoint that may be bound.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claimed {
    pub(crate) name: EndpointName,
    pub(crate) kind: Kind,
    /// None for a token that was handed over: it names its claims itself.
    pub(crate) claim: Option<ClaimId>,
    /// Where the provider serves http endpoints in the clear too.
    clear_http_port: Option<u16>,
}

/// An endpoint to bind, and tokens that allow it.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) claimed: Claimed,
    pub(super) tokens: Arc<dyn TokenSource>,
}

impl Granted {
    pub(super) async fn obtain(
        provider: &Provider,
        access: Access,
        about: &v1::DiscoverResponse,
        prepared: &Prepared,
        options: &TunnelOptions,
    ) -> Result<Self, Failure> {
        let claimed = claim(provider, &access, about, &prepared.label, options).await?;
        let tokens: Arc<dyn TokenSource> = match access {
            Access::ApiKey(credentials) => {
                let key = Secret::from(credentials.api_key.to_string());
                let claims: Vec<ClaimId> = claimed.claim.iter().cloned().collect();
                let source = ControlPlane::new(provider.channel(), &key, &claims, "")
                    .or_fail(Exit::Credential, "the API key is not one")?;
                Arc::new(source)
            }
            Access::Token { token, .. } => {
                let token = Secret::from(token.expose().to_owned());
                let token = StaticToken::new(token);
                Arc::new(Located::new(token, provider, &about.locations))
            }
        };
        Ok(Self { claimed, tokens })
    }
}

/// Claims what is wished for, or finds it in the token. A random name or port stays the same for what it is `remembered_as`.
pub(crate) async fn claim(
    provider: &Provider,
    access: &Access,
    about: &v1::DiscoverResponse,
    remembered_as: &str,
    options: &TunnelOptions,
) -> Result<Claimed, Failure> {
    let (name, claim) = match access {
        Access::ApiKey(credentials) => {
            let endpoint = if credentials.is_agent() {
                bound_to(provider, &about.zone, options).await?
            } else {
                provider.claim(wish(remembered_as, options)).await?
            };
            let not_valid = "the provider's answer is not valid";
            let name = endpoint.name.parse().or_fail(Exit::Failed, not_valid)?;
            let claim = endpoint.claim.parse().or_fail(Exit::Failed, not_valid)?;
            (name, Some(claim))
        }
        Access::Token { token, .. } => match asked_name(options, &about.zone)? {
            Some(name) => (name, None),
            None => (only_name(token.expose(), options.kind)?, None),
        },
    };
    let clear_http_port = u16::try_from(about.clear_http_port).ok();
    Ok(Claimed {
        name,
        kind: options.kind,
        claim,
        clear_http_port: clear_http_port.filter(|port| *port > 0),
    })
}

impl Claimed {
    /// The URL that works without a certificate, where there is one.
    pub(crate) fn clear_url(&self) -> Option<String> {
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

/// The endpoint among those that an agent's credential is bound to.
async fn bound_to(
    provider: &Provider,
    zone: &str,
    options: &TunnelOptions,
) -> Result<v1::Endpoint, Failure> {
    let asked = asked_name(options, zone)?.map(|name| name.to_string());
    let kind = proto::kind_to_proto(options.kind);
    let bound = provider.endpoints(String::new()).await?;
    let fits = |endpoint: &v1::Endpoint| {
        endpoint.kind() == kind && asked.as_ref().is_none_or(|name| *name == endpoint.name)
    };
    let mut fitting: Vec<_> = bound.into_iter().filter(fits).collect();
    match (fitting.pop(), fitting.is_empty(), asked) {
        (Some(endpoint), true, _) => Ok(endpoint),
        (Some(last), false, _) => {
            let names: Vec<_> = fitting.iter().map(|other| other.name.as_str()).collect();
            Err(Failure::new(
                Exit::Usage,
                format!(
                    "the credential is for several names: {}, {}",
                    names.join(", "),
                    last.name
                ),
            )
            .advise("choose one with --host or --port"))
        }
        (None, _, Some(name)) => Err(Failure::new(
            Exit::Refused,
            format!("the credential is not bound to {name} as {}", options.kind),
        )),
        (None, _, None) => Err(Failure::new(
            Exit::Refused,
            format!("the credential is bound to no {} endpoint", options.kind),
        )),
    }
}

fn wish(remembered_as: &str, options: &TunnelOptions) -> v1::ClaimRequest {
    let sharing = match options.sharing {
        Sharing::Exclusive => v1::Sharing::Exclusive,
        Sharing::Replicas => v1::Sharing::Replicas,
    };
    v1::ClaimRequest {
        kind: proto::kind_to_proto(options.kind).into(),
        host: options.host.clone().unwrap_or_default(),
        port: options.port.map_or(0, u32::from),
        sharing: sharing.into(),
        machine: machine(),
        target: remembered_as.to_owned(),
    }
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

fn asked_name(options: &TunnelOptions, zone: &str) -> Result<Option<EndpointName>, Failure> {
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
