//! Many idle agents in one process, each with a name, a token and a session of its own, for the memory that the edge
//! spends on each and for the scale run.

mod provider;

use std::{path::PathBuf, sync::Arc};

use agent::{TransportChoice, Tunnel};
use tokio::{io::AsyncReadExt, sync::Semaphore, task::JoinSet};

use self::provider::{Account, Provider};
use crate::problem::{Doing, Outcome};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AgentsArgs {
    /// credentials.json of a provider
    #[arg(long)]
    credentials: PathBuf,
    #[arg(long)]
    count: usize,
    /// `quic` or `tcp`
    #[arg(long, value_parser = transport)]
    transport: TransportChoice,
    /// What the names begin with
    #[arg(long, default_value = "agent")]
    name: String,
    /// Agents that connect at the same time: below what an edge takes from one address before it knows them
    #[arg(long, default_value_t = 24)]
    at_once: usize,
    /// Makes new accounts of so many agents each; 0: all are of the credential's own account
    #[arg(long, default_value_t = 0)]
    per_account: usize,
}

pub(crate) fn run(args: AgentsArgs) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("runtime")?;
    runtime.block_on(hold(args))
}

/// Prints `held` when all are online, and holds them until standard input ends.
async fn hold(args: AgentsArgs) -> Outcome<()> {
    let provider = Provider::find(&args.credentials).await?;
    let tunnels = open(&args, provider).await?;
    println!("held");
    let mut end = Vec::new();
    let read = tokio::io::stdin().read_to_end(&mut end).await;
    drop(tunnels);
    read.doing("standard input").map(drop)
}

async fn open(args: &AgentsArgs, provider: Provider) -> Outcome<Vec<Tunnel>> {
    let provider = Arc::new(provider);
    let places = Arc::new(Semaphore::new(args.at_once));
    let mut account = provider.own();
    let mut opening = JoinSet::new();
    for number in 0..args.count {
        if args.per_account > 0 && number % args.per_account == 0 {
            account = provider
                .new_account(&format!("{}-{number}", args.name))
                .await?;
        }
        // Before the task, so that accounts are made as they are needed.
        let place = places.clone().acquire_owned().await.doing("a place")?;
        let (provider, account): (_, Account) = (provider.clone(), account.clone());
        let (name, transport) = (format!("{}-{number}", args.name), args.transport);
        opening.spawn(async move {
            let opened = provider.open(&account, &name, transport).await;
            drop(place);
            opened
        });
    }
    let mut held = Vec::with_capacity(args.count);
    while let Some(opened) = opening.join_next().await {
        held.push(opened.doing("an agent's task")??);
    }
    Ok(held)
}

fn transport(text: &str) -> Result<TransportChoice, String> {
    match text {
        "quic" => Ok(TransportChoice::Quic),
        "tcp" => Ok(TransportChoice::Tcp),
        _ => Err("quic or tcp".into()),
    }
}
