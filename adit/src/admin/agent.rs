//! `adit admin agent`: credentials of machines without people.

use model::{AgentName, Kind};
use proto::v1;
use serde_json::{Value, json};

use super::{Answer, Table, names, time::moment};
use crate::{
    cli::{AgentCommand, NamesArgs},
    failure::Failure,
    share::Provider,
};

pub(super) async fn run(
    provider: &Provider,
    ca: Option<&str>,
    command: AgentCommand,
) -> Result<Answer, Failure> {
    match command {
        AgentCommand::Create { name, names, tags } => {
            create(provider, ca, &name, &names, tags).await
        }
        AgentCommand::List { tag } => list(provider, tag).await,
        AgentCommand::Revoke { name } => {
            let asked = v1::RevokeAgentRequest {
                account: String::new(),
                name: name.to_string(),
            };
            provider.revoke_agent(asked).await?;
            let line = format!("revoked {name}");
            Ok(Answer::line(json!({"revoked": name.as_str()}), line))
        }
    }
}

async fn create(
    provider: &Provider,
    ca: Option<&str>,
    name: &AgentName,
    names: &NamesArgs,
    tags: Vec<String>,
) -> Result<Answer, Failure> {
    let wish = v1::CreateAgentRequest {
        account: String::new(),
        name: name.to_string(),
        endpoints: endpoints(provider, name, names).await?,
        tags,
    };
    let made = provider.create_agent(wish).await?;
    let mut json = made.agent.as_ref().map_or_else(|| json!({}), to_json);
    json["credential"] = made.credential.clone().into();
    json["server"] = provider.server().into();
    if let Some(ca) = ca {
        json["ca"] = ca.into();
    }
    Ok(Answer::line(json, made.credential))
}

/// What the agent is bound to; a pattern is for what the account has below it, and is not claimed itself.
async fn endpoints(
    provider: &Provider,
    agent: &AgentName,
    asked: &NamesArgs,
) -> Result<Vec<String>, Failure> {
    if asked.hosts.is_empty() && asked.ports.is_empty() {
        let wish = v1::ClaimRequest {
            kind: proto::kind_to_proto(asked.kind.unwrap_or(Kind::Http)).into(),
            // The name stays the same when the agent is made anew.
            machine: "agent".into(),
            target: agent.to_string(),
            ..v1::ClaimRequest::default()
        };
        return Ok(vec![provider.claim(wish).await?.name]);
    }
    let own = provider.endpoints(String::new()).await?;
    let mut bound = Vec::new();
    for name in names::resolve(provider, asked).await? {
        if !names::is_pattern(&name) {
            names::ensure(provider, &own, &name, asked.kind).await?;
        }
        bound.push(name.to_string());
    }
    Ok(bound)
}

async fn list(provider: &Provider, tag: Option<String>) -> Result<Answer, Failure> {
    let mut agents = provider
        .list_agents(v1::ListAgentsRequest::default())
        .await?
        .agents;
    agents.retain(|agent| tag.as_ref().is_none_or(|tag| agent.tags.contains(tag)));
    let table = Table::new(
        [
            "AGENT",
            "ENDPOINTS",
            "ONLINE AT",
            "LAST TOKEN",
            "TAGS",
            "ID",
        ],
        agents.iter().map(row),
    );
    Ok(Answer::table(agents.iter().map(to_json).collect(), table))
}

fn row(agent: &v1::Agent) -> [String; 6] {
    let edges: Vec<_> = agent
        .sessions
        .iter()
        .map(|session| session.edge.as_str())
        .collect();
    let online = if edges.is_empty() {
        "offline".to_owned()
    } else {
        edges.join(",")
    };
    [
        agent.name.clone(),
        agent.endpoints.join(","),
        online,
        moment(agent.last_use),
        agent.tags.join(","),
        agent.id.clone(),
    ]
}

fn to_json(agent: &v1::Agent) -> Value {
    let sessions = agent.sessions.iter().map(super::endpoint::placement_json);
    json!({
        "id": agent.id, "name": agent.name, "account": agent.account, "endpoints": agent.endpoints, "tags": agent.tags,
        "created": agent.created, "last_use": (agent.last_use > 0).then_some(agent.last_use),
        "sessions": sessions.collect::<Value>(),
    })
}
