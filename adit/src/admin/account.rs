//! `adit admin account`.

use proto::v1;
use serde_json::{Value, json};

use super::{Answer, Table, must_be_meant, time::moment};
use crate::{cli::AccountCommand, failure::Failure, share::Provider};

pub(super) async fn run(provider: &Provider, command: AccountCommand) -> Result<Answer, Failure> {
    match command {
        AccountCommand::Create { name } => {
            let account = provider
                .create_account(v1::CreateAccountRequest { name })
                .await?;
            Ok(Answer::line(to_json(&account), account.id))
        }
        AccountCommand::List => {
            let accounts = provider
                .list_accounts(v1::ListAccountsRequest {})
                .await?
                .accounts;
            let rows = accounts.iter().map(|account| {
                [
                    account.id.clone(),
                    account.name.clone(),
                    moment(account.created),
                ]
            });
            let table = Table::new(["ACCOUNT", "NAME", "SINCE"], rows);
            Ok(Answer::table(accounts.iter().map(to_json).collect(), table))
        }
        AccountCommand::Show { account } => show(provider, account.unwrap_or_default()).await,
        AccountCommand::Delete { account, yes } => delete(provider, account, yes).await,
    }
}

async fn show(provider: &Provider, account: String) -> Result<Answer, Failure> {
    let shown = provider
        .get_account(v1::GetAccountRequest { account })
        .await?;
    let account = shown.id.clone();
    let endpoints = provider.endpoints(account.clone()).await?.len();
    let asked = v1::ListAgentsRequest {
        account: account.clone(),
    };
    let agents = provider.list_agents(asked).await?.agents.len();
    let keys = provider
        .list_api_keys(v1::ListApiKeysRequest { account })
        .await?
        .keys
        .len();
    let json = json!({
        "id": shown.id, "name": shown.name, "created": shown.created, "endpoints": endpoints, "agents": agents,
        "api_keys": keys,
    });
    let table = Table::new(
        [
            "ACCOUNT",
            "NAME",
            "SINCE",
            "ENDPOINTS",
            "AGENTS",
            "API KEYS",
        ],
        [[
            shown.id,
            shown.name,
            moment(shown.created),
            endpoints.to_string(),
            agents.to_string(),
            keys.to_string(),
        ]],
    );
    Ok(Answer::table(json, table))
}

async fn delete(provider: &Provider, account: String, yes: bool) -> Result<Answer, Failure> {
    let goes = format!(
        "deleting {account} releases its endpoints for anyone to claim, revokes its tokens, keys and agents, and cuts their sessions"
    );
    must_be_meant(yes, &goes)?;
    let asked = v1::DeleteAccountRequest {
        account: account.clone(),
    };
    let deleted = provider.delete_account(asked).await?;
    let line = format!(
        "deleted {account}, with {} endpoints and {} keys",
        deleted.endpoints, deleted.keys
    );
    let json = json!({"deleted": account, "endpoints": deleted.endpoints, "keys": deleted.keys});
    Ok(Answer::line(json, line))
}

fn to_json(account: &v1::Account) -> Value {
    json!({"id": account.id, "name": account.name, "created": account.created})
}
