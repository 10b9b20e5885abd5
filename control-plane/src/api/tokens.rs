//! Issue, refresh, revoke.

use std::time::Duration;

use model::{Revocation, Role};
use proto::v1::{self, revoke_request::What};
use tonic::{Request, Response, Status};

use super::{Api, now};
use crate::{IssueWish, Issued, core::Action, error::ControlError};

#[tonic::async_trait]
impl v1::tokens_server::Tokens for Api {
    async fn issue(
        &self,
        request: Request<v1::IssueRequest>,
    ) -> Result<Response<v1::IssuedToken>, Status> {
        let caller = self.anyone(&request).await?;
        let wish = wish(request.get_ref())?;
        let issued = if caller.role == Role::Agent {
            self.core.issue_to_agent(&caller, &wish, now()).await?
        } else {
            caller.must_be_user()?;
            self.core.issue(&caller, &wish, now()).await?
        };
        Ok(Response::new(issued.into()))
    }

    async fn refresh(
        &self,
        request: Request<v1::RefreshRequest>,
    ) -> Result<Response<v1::IssuedToken>, Status> {
        let caller = self.caller(&request).await?;
        Ok(Response::new(
            self.core
                .refresh(&caller, &request.get_ref().token, now())
                .await?
                .into(),
        ))
    }

    async fn revoke(
        &self,
        request: Request<v1::RevokeRequest>,
    ) -> Result<Response<v1::RevokeResponse>, Status> {
        let caller = self.caller(&request).await?;
        let what = request
            .into_inner()
            .what
            .ok_or_else(|| ControlError::invalid("say what is to be revoked"))?;
        let revocation = revocation(what)?;
        let target = format!("{revocation:?}");
        let revoked = self.core.revoke(&caller, revocation, now()).await;
        self.noted(&caller, Action::TokenRevoke, &target, revoked)
            .await?;
        Ok(Response::new(v1::RevokeResponse {}))
    }
}

fn wish(request: &v1::IssueRequest) -> Result<IssueWish, ControlError> {
    let claims: Result<_, _> = request.claims.iter().map(|claim| claim.parse()).collect();
    let seconds = |secs: u64| (secs > 0).then(|| Duration::from_secs(secs));
    let agent = Some(&request.agent).filter(|agent| !agent.is_empty());
    let key = Some(&request.key_thumbprint).filter(|key| !key.is_empty());
    if key.is_some_and(|key| !token::is_thumbprint(key)) {
        return Err(ControlError::invalid(
            "key_thumbprint is a SHA-256 thumbprint in base64url (RFC 7638)",
        ));
    }
    Ok(IssueWish {
        key: key.cloned(),
        claims: claims.map_err(ControlError::invalid)?,
        ttl: seconds(request.ttl),
        session_ttl: seconds(request.session_ttl),
        agent: agent
            .map(|agent| agent.parse())
            .transpose()
            .map_err(ControlError::invalid)?,
    })
}

fn revocation(what: What) -> Result<Revocation, ControlError> {
    match what {
        What::TokenId(id) => id
            .parse()
            .map(Revocation::Token)
            .map_err(ControlError::invalid),
        What::Grant(id) => id
            .parse()
            .map(Revocation::Grant)
            .map_err(ControlError::invalid),
        What::Claim(id) => id
            .parse()
            .map(Revocation::Claim)
            .map_err(ControlError::invalid),
        What::Account(id) => id
            .parse()
            .map(Revocation::Account)
            .map_err(ControlError::invalid),
    }
}

impl From<Issued> for v1::IssuedToken {
    fn from(issued: Issued) -> Self {
        Self {
            token: issued.token.expose().to_owned(),
            expires: issued.expires.as_secs(),
            session_expires: issued.session_expires.as_secs(),
            locations: issued.locations,
            token_id: issued.id.to_string(),
            grant: issued.grant.to_string(),
        }
    }
}
