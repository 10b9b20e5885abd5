//! May this agent do that? Pure: a token, the facts and the time go in, a decision with its code comes out.

use std::{collections::BTreeSet, ops::RangeInclusive};

use http::uri::Authority;
use model::{
    AccountId, ClaimId, EndpointName, Grant, GrantedEndpoint, Kind, Region, Revocation, Sharing,
    UnixTime,
};
use token::{Claims, Expect, KeySet, TokenError};
use tunnel::{
    Code,
    limits::BINDS,
    message::{Bind, ErrorMessage, OriginProtocol, VERSION},
};

use crate::route::Facts;

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// The bind that it is about; none for the whole session.
    pub(crate) bind: Option<u32>,
}

/// A bind that the token and the facts allow. Whether another session holds the name is another question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) id: u32,
    pub(crate) name: EndpointName,
    pub(crate) kind: Kind,
    pub(crate) claim: ClaimId,
    /// The name that was claimed: the own one, or a wildcard above it.
    pub(crate) granted_as: EndpointName,
    pub(crate) account: AccountId,
    pub(crate) sharing: Sharing,
    pub(crate) protocol: OriginProtocol,
    pub(crate) host_header: Option<Authority>,
}

/// Where this is, and how much is known here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Here<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) region: &'a Region,
    pub(crate) ports: &'a RangeInclusive<u16>,
    /// The facts are as new as the token. Where they are not, what is missing may only be on its way.
    pub(crate) fresh: bool,
}

pub(crate) fn version(offered: &[u32]) -> Result<(), Refusal> {
    if offered.contains(&VERSION) {
        Ok(())
    } else {
        let message = format!("this edge speaks version {VERSION} of the protocol");
        Err(Refusal::new(Code::Version, message))
    }
}

/// What the token says, if it may be believed.
pub(crate) fn token(
    token: &str,
    keys: &KeySet,
    expect: &Expect,
    now: UnixTime,
) -> Result<Claims, Refusal> {
    token::verify(token, keys, expect, now).map_err(|error| {
        let code = match error {
            TokenError::Expired => Code::Expired,
            _ => Code::Auth,
        };
        Refusal::new(code, error.to_string())
    })
}

/// Where whoever shows a token may use it: one that is bound to a key would be worth less than what its issuer meant.
pub(crate) fn bearer(claims: &Claims) -> Result<(), Refusal> {
    match claims.confirmation {
        Some(_) => {
            let message = "the token is bound to a key, which cannot be proved here";
            Err(Refusal::new(Code::Auth, message))
        }
        None => Ok(()),
    }
}

/// Whether the token's bearer is welcome at all.
pub(crate) fn session(claims: &Claims, here: Here<'_>) -> Result<(), Refusal> {
    let bearer = narrowed(claims, None);
    if let Err(revoked) = here.facts.revocations.check(&bearer) {
        let message = format!("the {} was revoked", name_of(&revoked));
        return Err(Refusal::new(Code::Revoked, message));
    }
    let regions = &claims.grant.regions;
    if !regions.is_empty() && !regions.contains(here.region) {
        let message = format!("the token is not for region {}", here.region);
        return Err(Refusal::new(Code::Forbidden, message));
    }
    Ok(())
}

/// The decision on each bind of a hello: those asked for, or all that the token grants.
pub(crate) fn binds(
    claims: &Claims,
    asked: Option<&[Bind]>,
    here: Here<'_>,
) -> Result<Vec<Result<Allowed, Refusal>>, Refusal> {
    let all = match asked {
        Some(asked) => asked.to_vec(),
        None => granted(&claims.grant),
    };
    if all.len() > BINDS as usize {
        let message = format!("a session has at most {BINDS} binds");
        return Err(Refusal::new(Code::Limit, message));
    }
    if asked.is_none() && all.is_empty() {
        let message = "the token grants nothing that this edge serves";
        return Err(Refusal::new(Code::Forbidden, message));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = all.iter().find(|bind| !seen.insert(bind.id)) {
        let message = format!("two binds have the id {}", twice.id);
        return Err(Refusal::new(Code::Protocol, message));
    }
    Ok(all
        .iter()
        .map(|wanted| bind(claims, wanted, here))
        .collect())
}

/// The decision on one bind.
pub(crate) fn bind(claims: &Claims, bind: &Bind, here: Here<'_>) -> Result<Allowed, Refusal> {
    let refuse = |code, message| Refusal {
        code,
        message,
        bind: Some(bind.id),
    };
    let name = bind.name().ok_or_else(|| {
        let message = "a bind names a host for http and tls, a port for tcp and udp";
        refuse(Code::Protocol, message.into())
    })?;
    let forbidden = |why: &str| refuse(Code::Forbidden, format!("{name}: {why}"));
    let granted = claims.grant.allows(&name, bind.kind);
    let granted = granted.ok_or_else(|| forbidden("the token does not grant it"))?;
    if !is_served(&name, bind.kind, here.ports) {
        return Err(forbidden("this edge does not serve that kind or port"));
    }
    if here
        .facts
        .revocations
        .check(&narrowed(claims, Some(granted)))
        .is_err()
    {
        return Err(refuse(
            Code::Revoked,
            format!("{name}: its claim was revoked"),
        ));
    }
    let endpoint = owned(&name, granted, here).ok_or_else(|| {
        if here.fresh {
            forbidden("it no longer belongs to the token's account")
        } else {
            let message = format!("{name}: this edge has not heard of its claim yet");
            refuse(Code::Internal, message)
        }
    })?;
    if !endpoint.regions.is_empty() && !endpoint.regions.contains(here.region) {
        return Err(forbidden("it is not served in this region"));
    }
    let host_header = match bind.host_header.as_deref().map(authority) {
        Some(None) => return Err(refuse(Code::Protocol, "host_header is not a host".into())),
        Some(authority) => authority,
        None => None,
    };
    Ok(Allowed {
        id: bind.id,
        kind: bind.kind,
        claim: granted.claim.clone(),
        granted_as: granted.name.clone(),
        account: claims.account.clone(),
        sharing: endpoint.sharing,
        protocol: bind.proto.unwrap_or_default(),
        host_header,
        name,
    })
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            bind: None,
        }
    }

    pub(crate) fn to_message(&self) -> ErrorMessage {
        let message = ErrorMessage::new(self.code, &self.message);
        match self.bind {
            Some(id) => message.about(id),
            None => message,
        }
    }
}

/// The endpoint under whose claim `name` is granted, if that is still the claim that decides about `name`.
fn owned<'a>(
    name: &EndpointName,
    granted: &GrantedEndpoint,
    here: Here<'a>,
) -> Option<&'a model::Endpoint> {
    // Somebody may have claimed x.a.example for himself beside the holder of *.a.example.
    let decides = here
        .facts
        .endpoint(name)
        .or_else(|| here.facts.endpoint(&granted.name))?;
    (decides.claim == granted.claim && decides.kind == granted.kind).then_some(decides)
}

fn granted(grant: &Grant) -> Vec<Bind> {
    grant
        .endpoints
        .iter()
        .zip(1..)
        .map(|(endpoint, id)| Bind {
            id,
            host: endpoint.name.host().cloned(),
            port: endpoint.name.port(),
            kind: endpoint.kind,
            proto: None,
            host_header: None,
        })
        .collect()
}

fn is_served(name: &EndpointName, kind: Kind, ports: &RangeInclusive<u16>) -> bool {
    match kind {
        Kind::Http | Kind::Tls => true,
        Kind::Tcp | Kind::Udp => name.port().is_some_and(|port| ports.contains(&port)),
    }
}

/// The claims as if they granted only `endpoint`, so that one revoked claim does not take the others along.
fn narrowed(claims: &Claims, endpoint: Option<&GrantedEndpoint>) -> Claims {
    let grant = Grant {
        endpoints: endpoint.cloned().into_iter().collect(),
        ..Grant::default()
    };
    Claims {
        grant,
        ..claims.clone()
    }
}

fn name_of(revoked: &Revocation) -> &'static str {
    match revoked {
        Revocation::Token(_) => "token",
        Revocation::Grant(_) => "grant",
        Revocation::Claim(_) => "claim",
        Revocation::Account(_) => "account",
    }
}

/// A host with or without a port, and nothing else that an authority may have.
fn authority(text: &str) -> Option<Authority> {
    let authority: Authority = text.parse().ok()?;
    (!authority.as_str().contains('@')).then_some(authority)
}

#[cfg(test)]
mod tests;
