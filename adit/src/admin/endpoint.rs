//! `adit admin endpoint`.

use model::Kind;
use proto::v1;
use serde_json::{Value, json};

use super::{Answer, Table, names, time::moment};
use crate::{
    cli::EndpointCommand,
    failure::{Exit, Failure},
    share::Provider,
};

pub(super) async fn run(provider: &Provider, command: EndpointCommand) -> Result<Answer, Failure> {
    match command {
        EndpointCommand::List { account } => {
            let endpoints = provider.endpoints(account.unwrap_or_default()).await?;
            let table = Table::new(
                ["NAME", "KIND", "BOUND AT", "TRANSPORT", "CLAIM"],
                endpoints.iter().map(row),
            );
            Ok(Answer::table(
                endpoints.iter().map(to_json).collect(),
                table,
            ))
        }
        EndpointCommand::Claim {
            host,
            port,
            kind,
            replicas,
        } => {
            let usual = if port.is_some() {
                Kind::Tcp
            } else {
                Kind::Http
            };
            let sharing = if replicas {
                v1::Sharing::Replicas
            } else {
                v1::Sharing::Exclusive
            };
            let wish = v1::ClaimRequest {
                kind: proto::kind_to_proto(kind.unwrap_or(usual)).into(),
                host: host.unwrap_or_default(),
                port: port.map_or(0, u32::from),
                sharing: sharing.into(),
                ..v1::ClaimRequest::default()
            };
            let endpoint = provider.claim(wish).await?;
            let line = format!("{}  {}", endpoint.name, endpoint.claim);
            Ok(Answer::line(to_json(&endpoint), line))
        }
        EndpointCommand::Show { name } => show(provider, &name).await,
        EndpointCommand::Release { name } => {
            let asked = v1::ReleaseRequest {
                name: name.to_string(),
            };
            provider.release(asked).await?;
            Ok(Answer::line(
                json!({"released": name}),
                format!("released {name}"),
            ))
        }
    }
}

async fn show(provider: &Provider, typed: &str) -> Result<Answer, Failure> {
    let zone = provider.discover().await?.zone;
    let name = names::whole(typed, &zone)?.to_string();
    let own = provider.endpoints(String::new()).await?;
    let Some(endpoint) = own.into_iter().find(|endpoint| endpoint.name == name) else {
        let message = format!("{name} is not claimed by this account");
        let advice = format!("adit admin endpoint claim {typed}");
        return Err(Failure::new(Exit::Refused, message).advise(advice));
    };
    let sessions = endpoint.placements.iter().map(|placement| {
        [
            endpoint.name.clone(),
            placement.edge.clone(),
            placement.agent.clone(),
            placement.transport.clone(),
            moment(placement.since),
        ]
    });
    let offline = || {
        let none = || "-".to_owned();
        [
            endpoint.name.clone(),
            "offline".into(),
            none(),
            none(),
            none(),
        ]
    };
    let mut rows: Vec<_> = sessions.collect();
    if rows.is_empty() {
        rows.push(offline());
    }
    let table = Table::new(["NAME", "BOUND AT", "AGENT", "TRANSPORT", "SINCE"], rows);
    Ok(Answer::table(to_json(&endpoint), table))
}

fn row(endpoint: &v1::Endpoint) -> [String; 5] {
    let join = |of: fn(&v1::Placement) -> &str| {
        let all: Vec<_> = endpoint.placements.iter().map(of).collect();
        all.join(",")
    };
    let at = if endpoint.placements.is_empty() {
        "offline".to_owned()
    } else {
        join(|placement| &placement.edge)
    };
    [
        endpoint.name.clone(),
        kind(endpoint.kind),
        at,
        join(|placement| &placement.transport),
        endpoint.claim.clone(),
    ]
}

fn to_json(endpoint: &v1::Endpoint) -> Value {
    let placements = endpoint.placements.iter().map(placement_json);
    json!({
        "name": endpoint.name, "kind": kind(endpoint.kind), "claim": endpoint.claim, "account": endpoint.account,
        "created": endpoint.created, "placements": placements.collect::<Value>(),
    })
}

pub(super) fn placement_json(placement: &v1::Placement) -> Value {
    json!({
        "edge": placement.edge, "session": placement.session, "agent": placement.agent,
        "transport": placement.transport, "since": placement.since,
    })
}

fn kind(kind: i32) -> String {
    proto::kind_from_proto(kind)
        .map_or("unknown", Kind::as_str)
        .to_owned()
}
