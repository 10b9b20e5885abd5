//! The payload as it stands in the JWT: short names that are standard where a standard has one.

use model::{
    AccountId, AgentId, ClaimId, EndpointName, Grant, GrantId, GrantLimits, GrantedEndpoint,
};
use model::{Kind, Region, Revision, TokenId, UnixTime};
use serde::{Deserialize, Serialize};

use crate::Claims;

/// `authorization_details` of other types are none of our business and are left alone.
const DETAIL_TYPE: &str = "tunnel";
const ACTION: &str = "bind";
/// Endpoints in one token; more than fit into [`crate::MAX_TOKEN_LEN`] anyhow.
const MAX_ENDPOINTS: usize = 200;

#[derive(Serialize, Deserialize)]
pub(crate) struct Payload {
    iss: String,
    aud: Audience,
    sub: AgentId,
    account: AccountId,
    client_id: String,
    jti: TokenId,
    grant: GrantId,
    iat: UnixTime,
    nbf: UnixTime,
    exp: UnixTime,
    session_exp: UnixTime,
    #[serde(default)]
    rev: Revision,
    authorization_details: Vec<Detail>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    regions: Vec<Region>,
    #[serde(default, skip_serializing_if = "is_default")]
    limits: GrantLimits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
}

/// One string or several (RFC 7519, section 4.1.3).
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Serialize, Deserialize)]
struct Confirmation {
    jkt: String,
}

#[derive(Serialize, Deserialize)]
struct Detail {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    actions: Vec<String>,
    #[serde(default)]
    identifier: String,
    #[serde(default)]
    kinds: Vec<String>,
    #[serde(default)]
    claim: String,
}

fn is_default(limits: &GrantLimits) -> bool {
    *limits == GrantLimits::default()
}

impl From<&Claims> for Payload {
    fn from(claims: &Claims) -> Self {
        let detail = |endpoint: &GrantedEndpoint| Detail {
            kind: DETAIL_TYPE.into(),
            actions: vec![ACTION.into()],
            identifier: endpoint.name.to_string(),
            kinds: vec![endpoint.kind.to_string()],
            claim: endpoint.claim.to_string(),
        };
        Self {
            iss: claims.issuer.clone(),
            aud: Audience::One(claims.audience.clone()),
            sub: claims.subject.clone(),
            account: claims.account.clone(),
            client_id: claims.client.clone(),
            jti: claims.id.clone(),
            grant: claims.grant_id.clone(),
            iat: claims.issued,
            nbf: claims.not_before,
            exp: claims.expires,
            session_exp: claims.session_expires,
            rev: claims.revision,
            authorization_details: claims.grant.endpoints.iter().map(detail).collect(),
            regions: claims.grant.regions.clone(),
            limits: claims.grant.limits,
            cnf: claims.confirmation.clone().map(|jkt| Confirmation { jkt }),
        }
    }
}

impl Payload {
    pub(crate) fn is_for(&self, audience: &str) -> bool {
        match &self.aud {
            Audience::One(one) => one == audience,
            Audience::Several(several) => several.iter().any(|one| one == audience),
        }
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.iss
    }

    /// The claims for `audience`, which the caller has checked.
    pub(crate) fn into_claims(self, audience: &str) -> Result<Claims, String> {
        let ours = self
            .authorization_details
            .into_iter()
            .filter(|d| d.kind == DETAIL_TYPE);
        let mut endpoints = Vec::new();
        for detail in ours.filter(|d| d.actions.iter().any(|action| action == ACTION)) {
            detail.push_into(&mut endpoints)?;
        }
        if self.session_exp < self.exp {
            return Err("session_exp is before exp".into());
        }
        Ok(Claims {
            issuer: self.iss,
            audience: audience.to_owned(),
            subject: self.sub,
            account: self.account,
            client: self.client_id,
            id: self.jti,
            grant_id: self.grant,
            grant: Grant {
                endpoints,
                regions: self.regions,
                limits: self.limits,
            },
            issued: self.iat,
            not_before: self.nbf,
            expires: self.exp,
            session_expires: self.session_exp,
            revision: self.rev,
            confirmation: self.cnf.map(|cnf| cnf.jkt),
        })
    }
}

impl Detail {
    /// One granted endpoint for each kind that we know; kinds of the future grant nothing here.
    fn push_into(self, endpoints: &mut Vec<GrantedEndpoint>) -> Result<(), String> {
        let name: EndpointName = self
            .identifier
            .parse()
            .map_err(|e| format!("identifier: {e}"))?;
        let claim: ClaimId = self.claim.parse().map_err(|e| format!("claim: {e}"))?;
        for kind in self
            .kinds
            .iter()
            .filter_map(|kind| kind.parse::<Kind>().ok())
        {
            if endpoints.len() == MAX_ENDPOINTS {
                return Err(format!("more than {MAX_ENDPOINTS} endpoints"));
            }
            endpoints.push(GrantedEndpoint {
                claim: claim.clone(),
                name: name.clone(),
                kind,
            });
        }
        Ok(())
    }
}
