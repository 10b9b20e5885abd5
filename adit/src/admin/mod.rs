//! `adit admin …`: one file a noun. Each asks the provider and answers with a table for people and JSON for programs.

mod account;
mod agent;
mod answer;
mod api_key;
mod audit;
mod backup;
mod calls;
mod consent;
mod device;
mod edge;
mod endpoint;
mod key;
mod names;
mod restore;
mod time;
mod token;
mod usage;

use self::answer::{Answer, Table};
pub(crate) use self::time::moment;
use crate::{
    cli::{AdminArgs, AdminCommand},
    credentials,
    failure::{Exit, Failure},
    share::Provider,
};

pub(crate) async fn run(args: AdminArgs) -> Result<(), Failure> {
    let AdminArgs {
        command,
        provider,
        json,
    } = args;
    if let AdminCommand::Restore(restore) = command {
        return restore::run(restore, &provider)
            .await
            .map(|answer| answer.print(json));
    }
    let access = credentials::find(&provider)?;
    let provider = Provider::connect(access.server(), access.ca(), access.api_key())?;
    let answer = match command {
        AdminCommand::Account(command) => account::run(&provider, command).await?,
        AdminCommand::Endpoint(command) => endpoint::run(&provider, command).await?,
        AdminCommand::Token(command) => token::run(&provider, command).await?,
        AdminCommand::Agent(command) => agent::run(&provider, access.ca(), command).await?,
        AdminCommand::Device(command) => device::run(&provider, command).await?,
        AdminCommand::Consent(command) => consent::run(&provider, command).await?,
        AdminCommand::Edge(command) => edge::run(&provider, command).await?,
        AdminCommand::Key(command) => key::run(&provider, command).await?,
        AdminCommand::ApiKey(command) => api_key::run(&provider, command).await?,
        AdminCommand::Audit(command) => return audit::run(&provider, command, json).await,
        AdminCommand::Usage(args) => usage::run(&provider, args).await?,
        AdminCommand::Backup { file } => backup::run(&provider, &file).await?,
        // Answered above: it needs no provider.
        AdminCommand::Restore(_) => Answer::nothing(),
    };
    answer.print(json);
    Ok(())
}

/// Refuses what cannot be undone until it is asked for aloud.
fn must_be_meant(yes: bool, what_goes: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    Err(Failure::new(Exit::Usage, what_goes).advise("add --yes to do it"))
}
