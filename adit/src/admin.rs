//! `adit admin …`: one gRPC call, one table or one JSON value.

use std::io::Write;

use model::Kind;
use proto::v1::{self, revoke_request::What};
use serde_json::{Value, json};

use crate::{
    cli::{
        AdminArgs, AdminCommand, ApiKeyCommand, EdgeCommand, EndpointCommand, KeyCommand,
        RevokeArgs, TokenCommand,
    },
    credentials,
    failure::{Exit, Failure},
    share::Provider,
};

/// What a command answers with: rows for people, one value for programs.
struct Answer {
    json: Value,
    rows: Vec<Vec<String>>,
}

pub(crate) async fn run(args: AdminArgs) -> Result<(), Failure> {
    let access = credentials::find(&args.provider)?;
    let provider = Provider::connect(access.server(), access.ca(), access.api_key())?;
    let answer = match args.command {
        AdminCommand::Endpoint(command) => endpoint(&provider, command).await?,
        AdminCommand::Token(command) => token(&provider, command).await?,
        AdminCommand::Edge(EdgeCommand::List) => edges(&provider.edges().await?),
        AdminCommand::Key(KeyCommand::List) => keys(&provider.keys().await?),
        AdminCommand::Key(KeyCommand::Rotate) => keys(&provider.rotate_keys().await?),
        AdminCommand::ApiKey(command) => api_key(&provider, command).await?,
    };
    answer.print(args.json);
    Ok(())
}

async fn endpoint(provider: &Provider, command: EndpointCommand) -> Result<Answer, Failure> {
    match command {
        EndpointCommand::List => Ok(endpoints(&provider.endpoints().await?)),
        EndpointCommand::Claim {
            host,
            kind,
            replicas,
        } => {
            let sharing = if replicas {
                v1::Sharing::Replicas
            } else {
                v1::Sharing::Exclusive
            };
            let wish = v1::ClaimRequest {
                kind: proto::kind_to_proto(kind).into(),
                host: host.unwrap_or_default(),
                sharing: sharing.into(),
                ..v1::ClaimRequest::default()
            };
            let endpoint = provider.claim(wish).await?;
            Ok(Answer {
                json: endpoint_json(&endpoint),
                rows: vec![vec![endpoint.name, endpoint.claim]],
            })
        }
        EndpointCommand::Release { name } => {
            provider.release(name.to_string()).await?;
            Ok(Answer {
                json: json!({"released": name}),
                rows: vec![vec![format!("released {name}")]],
            })
        }
    }
}

async fn token(provider: &Provider, command: TokenCommand) -> Result<Answer, Failure> {
    match command {
        TokenCommand::Issue {
            endpoints,
            ttl,
            session_ttl,
        } => {
            let own = provider.endpoints().await?;
            let claims: Result<Vec<_>, _> = endpoints
                .iter()
                .map(|name| {
                    let found = own
                        .iter()
                        .find(|endpoint| endpoint.name == name.to_string());
                    found.map(|endpoint| endpoint.claim.clone()).ok_or_else(|| {
                        Failure::new(
                            Exit::Refused,
                            format!("{name} is not claimed by this account"),
                        )
                        .advise(format!("adit admin endpoint claim {name}"))
                    })
                })
                .collect();
            let wish = v1::IssueRequest {
                claims: claims?,
                ttl: ttl.unwrap_or(0),
                session_ttl: session_ttl.unwrap_or(0),
                agent: String::new(),
            };
            let issued = provider.issue(wish).await?;
            let json = json!({
                "token": issued.token, "expires": issued.expires, "session_expires": issued.session_expires,
                "locations": issued.locations, "token_id": issued.token_id, "grant": issued.grant,
            });
            Ok(Answer {
                json,
                rows: vec![vec![issued.token]],
            })
        }
        TokenCommand::Revoke { what } => {
            provider.revoke(revoked(what)?).await?;
            Ok(Answer {
                json: json!({"revoked": true}),
                rows: vec![vec!["revoked".into()]],
            })
        }
    }
}

async fn api_key(provider: &Provider, command: ApiKeyCommand) -> Result<Answer, Failure> {
    match command {
        ApiKeyCommand::Create {
            role,
            account,
            name,
        } => {
            let account = match account {
                Some(account) => account,
                None => provider.who_am_i().await?.account,
            };
            let wish = v1::CreateApiKeyRequest {
                account,
                name,
                role: proto::role_to_proto(role).into(),
            };
            let made = provider.create_api_key(wish).await?;
            Ok(Answer {
                json: json!({"id": made.id, "secret": made.secret, "role": role}),
                rows: vec![vec![made.secret]],
            })
        }
        ApiKeyCommand::Revoke { id } => {
            provider.revoke_api_key(id.clone()).await?;
            Ok(Answer {
                json: json!({"revoked": id}),
                rows: vec![vec![format!("revoked {id}")]],
            })
        }
    }
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

fn endpoints(endpoints: &[v1::Endpoint]) -> Answer {
    let header = ["NAME", "KIND", "BOUND AT", "TRANSPORT", "CLAIM"]
        .map(ToOwned::to_owned)
        .to_vec();
    let row = |endpoint: &v1::Endpoint| {
        let at: Vec<_> = endpoint
            .placements
            .iter()
            .map(|placement| placement.edge.as_str())
            .collect();
        let over: Vec<_> = endpoint
            .placements
            .iter()
            .map(|placement| placement.transport.as_str())
            .collect();
        let at = if at.is_empty() {
            "offline".to_owned()
        } else {
            at.join(",")
        };
        vec![
            endpoint.name.clone(),
            kind(endpoint.kind),
            at,
            over.join(","),
            endpoint.claim.clone(),
        ]
    };
    let rows = std::iter::once(header)
        .chain(endpoints.iter().map(row))
        .collect();
    Answer {
        json: endpoints.iter().map(endpoint_json).collect(),
        rows,
    }
}

fn endpoint_json(endpoint: &v1::Endpoint) -> Value {
    let placements = endpoint.placements.iter().map(|placement| {
        json!({
            "edge": placement.edge, "session": placement.session, "agent": placement.agent,
            "transport": placement.transport, "since": placement.since,
        })
    });
    json!({
        "name": endpoint.name, "kind": kind(endpoint.kind), "claim": endpoint.claim, "account": endpoint.account,
        "created": endpoint.created, "placements": placements.collect::<Value>(),
    })
}

fn kind(kind: i32) -> String {
    proto::kind_from_proto(kind)
        .map_or("unknown", Kind::as_str)
        .to_owned()
}

fn edges(edges: &[v1::Edge]) -> Answer {
    let header = ["EDGE", "REGION", "URL", "STATE"]
        .map(ToOwned::to_owned)
        .to_vec();
    let row = |edge: &v1::Edge| {
        let state = if edge.draining { "draining" } else { "up" };
        vec![
            edge.id.clone(),
            edge.region.clone(),
            edge.url.clone(),
            state.into(),
        ]
    };
    let json = edges.iter().map(|edge| {
        json!({
            "id": edge.id, "region": edge.region, "url": edge.url, "draining": edge.draining, "started": edge.started,
        })
    });
    Answer {
        json: json.collect(),
        rows: std::iter::once(header)
            .chain(edges.iter().map(row))
            .collect(),
    }
}

fn keys(keys: &[v1::SigningKey]) -> Answer {
    let header = ["KEY", "SIGNS FROM", "SIGNS UNTIL"]
        .map(ToOwned::to_owned)
        .to_vec();
    let row = |key: &v1::SigningKey| {
        vec![
            key.id.clone(),
            key.signs_from.to_string(),
            key.signs_until.to_string(),
        ]
    };
    let json = keys.iter().map(|key| {
        let jwk: Value = serde_json::from_str(&key.jwk).unwrap_or_default();
        json!({
            "id": key.id, "jwk": jwk, "published": key.published, "signs_from": key.signs_from,
            "signs_until": key.signs_until,
        })
    });
    Answer {
        json: json.collect(),
        rows: std::iter::once(header)
            .chain(keys.iter().map(row))
            .collect(),
    }
}

impl Answer {
    fn print(&self, as_json: bool) {
        let mut out = std::io::stdout().lock();
        // A reader that closed the pipe has heard enough.
        if as_json {
            let _ = writeln!(out, "{}", self.json);
            return;
        }
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
        };
        let widths: Vec<_> = (0..columns)
            .map(|column| width(column).unwrap_or(0))
            .collect();
        for row in &self.rows {
            let cells: Vec<_> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            let _ = writeln!(out, "{}", cells.join("  ").trim_end());
        }
    }
}
