//! `adit admin edge`.

use proto::v1;
use serde_json::{Value, json};

use super::{Answer, Table, time::moment};
use crate::{cli::EdgeCommand, failure::Failure, share::Provider};

pub(super) async fn run(provider: &Provider, command: EdgeCommand) -> Result<Answer, Failure> {
    let EdgeCommand::List = command;
    let edges = provider.list_edges(v1::ListEdgesRequest {}).await?.edges;
    let row = |edge: &v1::Edge| {
        let state = if edge.draining { "draining" } else { "up" };
        [
            edge.id.clone(),
            edge.region.clone(),
            edge.url.clone(),
            state.to_owned(),
            edge.sessions.to_string(),
            moment(edge.started),
        ]
    };
    let table = Table::new(
        ["EDGE", "REGION", "URL", "STATE", "SESSIONS", "SINCE"],
        edges.iter().map(row),
    );
    Ok(Answer::table(edges.iter().map(to_json).collect(), table))
}

fn to_json(edge: &v1::Edge) -> Value {
    json!({
        "id": edge.id, "region": edge.region, "url": edge.url, "draining": edge.draining, "started": edge.started,
        "sessions": edge.sessions,
    })
}
