//! Credentials of machines without people.

use model::{AccountId, AgentName};
use proto::v1;
use tonic::{Request, Response, Status};

use super::{Api, now};
use crate::{
    AgentWish,
    core::{Action, ListedAgent},
    error::ControlError,
};

#[tonic::async_trait]
impl v1::agents_server::Agents for Api {
    async fn create(
        &self,
        request: Request<v1::CreateAgentRequest>,
    ) -> Result<Response<v1::CreatedAgent>, Status> {
        let caller = self.caller(&request).await?;
        let asked = request.into_inner();
        let account = Self::account_of(&caller, &asked.account);
        let account = self
            .noted(&caller, Action::AgentCreate, &asked.name, account)
            .await?;
        let endpoints: Result<_, _> = asked.endpoints.iter().map(|name| name.parse()).collect();
        let wish = AgentWish {
            name: name(&asked.name)?,
            endpoints: endpoints.map_err(ControlError::invalid)?,
            tags: asked.tags,
        };
        let made = self
            .core
            .create_agent(&caller, &account, &wish, now())
            .await?;
        let agents = self.agents(&account).await?;
        Ok(Response::new(v1::CreatedAgent {
            agent: agents
                .into_iter()
                .find(|agent| agent.id == made.id.as_str()),
            credential: made.secret.to_string(),
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        let caller = self.caller(&request).await?;
        let account = Self::account_of(&caller, &request.get_ref().account)?;
        Ok(Response::new(v1::ListAgentsResponse {
            agents: self.agents(&account).await?,
        }))
    }

    async fn revoke(
        &self,
        request: Request<v1::RevokeAgentRequest>,
    ) -> Result<Response<v1::RevokeAgentResponse>, Status> {
        let caller = self.caller(&request).await?;
        let asked = request.get_ref();
        let account = Self::account_of(&caller, &asked.account);
        let account = self
            .noted(&caller, Action::AgentRevoke, &asked.name, account)
            .await?;
        self.core
            .revoke_agent(&caller, &account, &name(&asked.name)?, now())
            .await?;
        Ok(Response::new(v1::RevokeAgentResponse {}))
    }
}

impl Api {
    async fn agents(&self, account: &AccountId) -> Result<Vec<v1::Agent>, ControlError> {
        let agents = self.core.agents_of(account).await?;
        let placements = self.core.placements(account).await?;
        let mut sessions: Vec<_> = placements.into_values().flatten().collect();
        // A session that serves several endpoints is listed once.
        sessions.sort_by(|a, b| (&a.edge, &a.session).cmp(&(&b.edge, &b.session)));
        sessions.dedup_by(|a, b| (&a.edge, &a.session) == (&b.edge, &b.session));
        let listed = agents.into_iter().map(|agent| {
            let own = sessions
                .iter()
                .filter(|placement| placement.agent.as_str() == agent.record.key.as_str());
            let sessions = own.map(proto::placement_to_proto).collect();
            to_proto(account, agent, sessions)
        });
        Ok(listed.collect())
    }
}

fn to_proto(account: &AccountId, agent: ListedAgent, sessions: Vec<v1::Placement>) -> v1::Agent {
    let ListedAgent { record, last_use } = agent;
    v1::Agent {
        id: record.key.to_string(),
        account: account.to_string(),
        name: record.name.to_string(),
        endpoints: record.endpoints.iter().map(ToString::to_string).collect(),
        tags: record.tags,
        created: record.created.as_secs(),
        last_use: last_use.map_or(0, model::UnixTime::as_secs),
        sessions,
    }
}

fn name(text: &str) -> Result<AgentName, ControlError> {
    text.parse().map_err(ControlError::invalid)
}
