//! `adit admin key`: the keys that sign tokens. API keys are another noun.

use proto::v1;
use serde_json::{Value, json};

use super::{Answer, Table, must_be_meant, time::moment};
use crate::{cli::KeyCommand, failure::Failure, share::Provider};

pub(super) async fn run(provider: &Provider, command: KeyCommand) -> Result<Answer, Failure> {
    let answer = match command {
        KeyCommand::List => provider.list_keys(v1::ListKeysRequest {}).await?,
        KeyCommand::Rotate => provider.rotate_keys(v1::RotateRequest {}).await?,
        KeyCommand::Retire { id, yes } => {
            must_be_meant(yes, &what_breaks(&id))?;
            provider.retire_key(v1::RetireRequest { id }).await?
        }
    };
    let keys = answer.keys;
    let row = |key: &v1::SigningKey| {
        [
            key.id.clone(),
            moment(key.published),
            moment(key.signs_from),
            moment(key.signs_until),
        ]
    };
    let table = Table::new(
        ["KEY", "PUBLISHED", "SIGNS FROM", "SIGNS UNTIL"],
        keys.iter().map(row),
    );
    Ok(Answer::table(keys.iter().map(to_json).collect(), table))
}

fn what_breaks(id: &str) -> String {
    format!(
        "retiring {id} refuses every token that it signed, at once: agents with an API key or a credential get new ones by \
         themselves, tokens that were handed over are dead; sessions that are open go on until they end or are revoked; \
         caches of the JWKS know the key for up to an hour"
    )
}

fn to_json(key: &v1::SigningKey) -> Value {
    let jwk: Value = serde_json::from_str(&key.jwk).unwrap_or_default();
    json!({
        "id": key.id, "jwk": jwk, "published": key.published, "signs_from": key.signs_from,
        "signs_until": key.signs_until,
    })
}
