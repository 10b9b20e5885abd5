//! `adit admin token`.

use std::time::Duration;

use proto::v1::{self, revoke_request::What};
use serde_json::json;

use super::{Answer, names};
use crate::{
    cli::{NamesArgs, RevokeArgs, TokenCommand},
    failure::{Exit, Failure},
    share::Provider,
};

pub(super) async fn run(provider: &Provider, command: TokenCommand) -> Result<Answer, Failure> {
    match command {
        TokenCommand::Issue {
            names,
            ttl,
            session_ttl,
            key_thumbprint,
        } => issue(provider, &names, ttl, session_ttl, key_thumbprint).await,
        TokenCommand::Revoke { what } => {
            let what = Some(revoked(what)?);
            provider.revoke(v1::RevokeRequest { what }).await?;
            Ok(Answer::line(json!({"revoked": true}), "revoked"))
        }
    }
}

async fn issue(
    provider: &Provider,
    names: &NamesArgs,
    ttl: Option<Duration>,
    session_ttl: Option<Duration>,
    key_thumbprint: Option<String>,
) -> Result<Answer, Failure> {
    let own = provider.endpoints(String::new()).await?;
    let (mut claims, mut granted) = (Vec::new(), Vec::new());
    for name in names::resolve(provider, names).await? {
        let endpoint = names::ensure(provider, &own, &name, names.kind).await?;
        claims.push(endpoint.claim);
        granted.push(endpoint.name);
    }
    let seconds = |asked: Option<Duration>| asked.map_or(0, |asked| asked.as_secs());
    let wish = v1::IssueRequest {
        claims,
        ttl: seconds(ttl),
        session_ttl: seconds(session_ttl),
        agent: String::new(),
        key_thumbprint: key_thumbprint.unwrap_or_default(),
    };
    let issued = provider.issue(wish).await?;
    let json = json!({
        "token": issued.token, "expires": issued.expires, "session_expires": issued.session_expires,
        "locations": issued.locations, "token_id": issued.token_id, "grant": issued.grant, "endpoints": granted,
    });
    Ok(Answer::line(json, issued.token))
}

fn revoked(what: RevokeArgs) -> Result<What, Failure> {
    let RevokeArgs {
        token_id,
        grant,
        claim,
        account,
    } = what;
    token_id
        .map(What::TokenId)
        .or_else(|| grant.map(What::Grant))
        .or_else(|| claim.map(What::Claim))
        .or_else(|| account.map(What::Account))
        .ok_or_else(|| Failure::new(Exit::Usage, "say what is to be revoked"))
}
