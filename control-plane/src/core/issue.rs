//! Issuing tokens.

use std::{fmt, time::Duration};

use model::{
    AccountId, AgentId, ClaimId, EdgeFact, Endpoint, Grant, GrantId, GrantedEndpoint, Revision,
    TokenId, UnixTime,
};
use token::{Claims, Expect, Token};

use super::{Caller, Core, random_id};
use crate::error::{ControlError, ErrorCode};

/// The OAuth client of tokens that are issued over gRPC (RFC 9068 wants one named).
const CLIENT: &str = "adit-grpc";

/// Who is to hold a token.
pub(super) struct Holder<'a> {
    pub(super) account: &'a AccountId,
    pub(super) subject: AgentId,
    pub(super) client: &'a str,
    pub(super) grant: GrantId,
}

/// What a token is wanted for.
#[derive(Clone, Debug, Default)]
pub struct IssueWish {
    pub claims: Vec<ClaimId>,
    /// None is the provider's default.
    pub ttl: Option<Duration>,
    pub session_ttl: Option<Duration>,
    /// The subject; none is named after the API key.
    pub agent: Option<AgentId>,
    /// Thumbprint of the key to bind the token to; none makes a bearer token.
    pub key: Option<String>,
}

pub struct Issued {
    pub token: Token,
    pub id: TokenId,
    pub grant: GrantId,
    pub expires: UnixTime,
    pub session_expires: UnixTime,
    /// What it serves.
    pub endpoints: Vec<GrantedEndpoint>,
    /// Where to connect.
    pub locations: Vec<String>,
}

impl Core {
    pub async fn issue(
        &self,
        caller: &Caller,
        wish: &IssueWish,
        now: UnixTime,
    ) -> Result<Issued, ControlError> {
        let own = self.endpoints_with(&caller.account, &wish.claims).await?;
        let holder = Holder::calling(caller, wish, GrantId::from_random(random_id()))?;
        self.issue_for(holder, wish, own, now).await
    }

    /// For a program that a person has let serve these.
    pub(super) async fn issue_tunnel(
        &self,
        holder: Holder<'_>,
        claims: &[ClaimId],
        now: UnixTime,
    ) -> Result<Issued, ControlError> {
        let own = self.endpoints_with(holder.account, claims).await?;
        let wish = IssueWish {
            claims: claims.to_vec(),
            ..IssueWish::default()
        };
        self.issue_for(holder, &wish, own, now).await
    }

    /// For a program that a person lets act for them here: no edge takes it.
    pub(super) async fn issue_api(
        &self,
        holder: Holder<'_>,
        now: UnixTime,
    ) -> Result<Issued, ControlError> {
        let issued = self.moment_after_revocations(holder.account, now).await?;
        let expires = issued.plus(self.config.token_ttl);
        let claims = Claims {
            issuer: self.issuer.clone(),
            audience: self.api_audience(),
            subject: holder.subject,
            account: holder.account.clone(),
            client: holder.client.to_owned(),
            id: TokenId::from_random(random_id()),
            grant_id: holder.grant,
            grant: Grant::default(),
            issued,
            not_before: issued,
            expires,
            session_expires: expires,
            revision: Revision::ZERO,
            confirmation: None,
        };
        self.sign(claims, now).await
    }

    pub(super) async fn must_own_claims(
        &self,
        account: &AccountId,
        claims: &[ClaimId],
    ) -> Result<(), ControlError> {
        let (own, _) = self.endpoints_with(account, claims).await?;
        claims
            .iter()
            .try_for_each(|claim| granted(&own, claim).map(|_| ()))
    }

    /// The grant of a token that we have signed and that has not expired, whoever it is for.
    pub(super) fn own_grant(&self, token: &str, now: UnixTime) -> Option<GrantId> {
        let keys = self.keys.load().public();
        [self.audience(), self.api_audience()]
            .into_iter()
            .find_map(|audience| {
                let issuer = self.issuer.clone();
                token::verify(token, &keys, &Expect { issuer, audience }, now).ok()
            })
            .map(|claims| claims.grant_id)
    }

    /// For an agent's credential: of what it is bound to, all of one grant, and of nothing else.
    pub(crate) async fn issue_to_agent(
        &self,
        caller: &Caller,
        wish: &IssueWish,
        now: UnixTime,
    ) -> Result<Issued, ControlError> {
        let record = self.agent_of(caller).await?;
        let (own, revision) = self.endpoints_with(&caller.account, &wish.claims).await?;
        let (bound, other): (Vec<_>, Vec<_>) = own
            .into_iter()
            .partition(|endpoint| record.covers(&endpoint.name));
        if let Some(endpoint) = other
            .iter()
            .find(|endpoint| wish.claims.contains(&endpoint.claim))
        {
            return Err(ControlError::new(
                ErrorCode::NotAllowed,
                format!("this agent's credential is not bound to {}", endpoint.name),
            ));
        }
        let mut wish = wish.clone();
        // It speaks for itself only.
        wish.agent = None;
        if wish.claims.is_empty() {
            wish.claims = bound
                .iter()
                .map(|endpoint| endpoint.claim.clone())
                .collect();
        }
        let holder = Holder::calling(caller, &wish, record.grant)?;
        let issued = self
            .issue_for(holder, &wish, (bound, revision), now)
            .await?;
        self.note_use(&caller.account, &record.name, now).await;
        Ok(issued)
    }

    /// `own` is what may be granted, as it was at a revision.
    async fn issue_for(
        &self,
        holder: Holder<'_>,
        wish: &IssueWish,
        (own, revision): (Vec<Endpoint>, Revision),
        now: UnixTime,
    ) -> Result<Issued, ControlError> {
        if wish.claims.is_empty() {
            return Err(ControlError::invalid("a token is for at least one claim"));
        }
        let issued = self.moment_after_revocations(holder.account, now).await?;
        let granted: Result<Vec<_>, _> = wish
            .claims
            .iter()
            .map(|claim| granted(&own, claim))
            .collect();
        let ttl = bounded(wish.ttl, self.config.token_ttl, "ttl")?;
        let session_ttl = bounded(wish.session_ttl, self.config.session_ttl, "session_ttl")?;
        let claims = Claims {
            issuer: self.issuer.clone(),
            audience: self.audience(),
            subject: holder.subject,
            account: holder.account.clone(),
            client: holder.client.to_owned(),
            id: TokenId::from_random(random_id()),
            grant_id: holder.grant,
            grant: Grant {
                endpoints: granted?,
                ..Grant::default()
            },
            issued,
            not_before: issued,
            expires: issued.plus(ttl),
            session_expires: issued.plus(session_ttl.max(ttl)),
            revision,
            confirmation: wish.key.clone(),
        };
        self.sign(claims, now).await
    }

    /// A token of the same grant, subject and endpoints. What has been released or revoked since is not renewed.
    pub async fn refresh(
        &self,
        caller: &Caller,
        presented: &str,
        now: UnixTime,
    ) -> Result<Issued, ControlError> {
        let expect = Expect {
            issuer: self.issuer.clone(),
            audience: self.audience(),
        };
        let old = token::verify(presented, &self.keys.load().public(), &expect, now)
            .map_err(ControlError::invalid)?;
        if old.account != caller.account {
            return Err(ControlError::new(
                ErrorCode::NotAllowed,
                "the token belongs to another account",
            ));
        }
        let revoked = self.look(|facts| facts.revocations().check(&old)).await?;
        revoked.map_err(|_| {
            ControlError::new(
                ErrorCode::NotAllowed,
                "the token, or something that it names, has been revoked",
            )
        })?;
        let issued = self.moment_after_revocations(&caller.account, now).await?;
        let claims: Vec<_> = old
            .grant
            .endpoints
            .iter()
            .map(|e| e.claim.clone())
            .collect();
        let (own, revision) = self.endpoints_with(&caller.account, &claims).await?;
        for endpoint in &old.grant.endpoints {
            granted(&own, &endpoint.claim)?;
        }
        let claims = Claims {
            id: TokenId::from_random(random_id()),
            issued,
            not_before: issued,
            expires: issued.plus(self.config.token_ttl),
            session_expires: issued.plus(self.config.session_ttl),
            revision,
            ..old
        };
        self.sign(claims, now).await
    }

    async fn sign(&self, claims: Claims, now: UnixTime) -> Result<Issued, ControlError> {
        let ring = self.keys.load();
        let token = ring
            .signer(now)?
            .sign(&claims)
            .map_err(ControlError::invalid)?;
        self.metrics.tokens.inc();
        Ok(Issued {
            token,
            id: claims.id,
            grant: claims.grant_id,
            expires: claims.expires,
            session_expires: claims.session_expires,
            endpoints: claims.grant.endpoints,
            locations: self.locations().await?,
        })
    }

    /// Edges that take agents, in the order of their names until nearness is known.
    pub async fn locations(&self) -> Result<Vec<String>, ControlError> {
        let edges = self.edges().await?;
        Ok(edges
            .into_iter()
            .filter(|edge| !edge.draining)
            .map(|edge| edge.url)
            .collect())
    }

    pub(crate) async fn edges(&self) -> Result<Vec<EdgeFact>, ControlError> {
        self.look(|facts| facts.edges().cloned().collect()).await
    }
}

impl<'a> Holder<'a> {
    /// Whoever calls over gRPC; the subject is named after the API key unless another one is wished for.
    fn calling(caller: &'a Caller, wish: &IssueWish, grant: GrantId) -> Result<Self, ControlError> {
        let subject = match &wish.agent {
            Some(agent) => agent.clone(),
            None => caller
                .key
                .as_str()
                .parse()
                .map_err(ControlError::internal)?,
        };
        Ok(Self {
            account: &caller.account,
            subject,
            client: CLIENT,
            grant,
        })
    }
}

fn granted(own: &[Endpoint], claim: &ClaimId) -> Result<GrantedEndpoint, ControlError> {
    let found = own.iter().find(|endpoint| endpoint.claim == *claim);
    let endpoint = found.ok_or_else(|| {
        ControlError::new(
            ErrorCode::NotFound,
            format!("{claim} is not a claim of this account (any more)"),
        )
    })?;
    Ok(GrantedEndpoint {
        claim: endpoint.claim.clone(),
        name: endpoint.name.clone(),
        kind: endpoint.kind,
    })
}

fn bounded(asked: Option<Duration>, most: Duration, what: &str) -> Result<Duration, ControlError> {
    match asked {
        None => Ok(most),
        Some(asked) if asked.is_zero() || asked > most => Err(ControlError::invalid(format!(
            "{what} is from 1 to {} seconds here",
            most.as_secs()
        ))),
        Some(asked) => Ok(asked),
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("id", &self.id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
