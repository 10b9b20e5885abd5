//! `adit admin api-key`: with what people, programs and edges call the provider.

use model::Role;
use proto::v1;
use serde_json::{Value, json};

use super::{Answer, Table, time::moment};
use crate::{cli::ApiKeyCommand, failure::Failure, share::Provider};

pub(super) async fn run(provider: &Provider, command: ApiKeyCommand) -> Result<Answer, Failure> {
    match command {
        ApiKeyCommand::Create {
            role,
            account,
            name,
        } => create(provider, role, account, name).await,
        ApiKeyCommand::List { account } => {
            let account = account.unwrap_or_default();
            let keys = provider
                .list_api_keys(v1::ListApiKeysRequest { account })
                .await?
                .keys;
            let row = |key: &v1::ApiKey| {
                [
                    key.id.clone(),
                    role(key.role).to_owned(),
                    key.name.clone(),
                    moment(key.created),
                ]
            };
            let table = Table::new(["API KEY", "ROLE", "NAME", "SINCE"], keys.iter().map(row));
            Ok(Answer::table(keys.iter().map(to_json).collect(), table))
        }
        ApiKeyCommand::Revoke { id } => {
            provider
                .revoke_api_key(v1::RevokeApiKeyRequest { id: id.clone() })
                .await?;
            Ok(Answer::line(
                json!({"revoked": id}),
                format!("revoked {id}"),
            ))
        }
    }
}

async fn create(
    provider: &Provider,
    role: Role,
    account: Option<String>,
    name: String,
) -> Result<Answer, Failure> {
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
    let json = json!({"id": made.id, "secret": made.secret, "role": role.as_str()});
    Ok(Answer::line(json, made.secret))
}

fn role(role: i32) -> &'static str {
    proto::role_from_proto(role).map_or("unknown", Role::as_str)
}

fn to_json(key: &v1::ApiKey) -> Value {
    json!({
        "id": key.id, "account": key.account, "name": key.name, "role": role(key.role), "created": key.created,
    })
}
