//! `adit http`, `adit tls`, `adit tcp`, and the share of `adit dev`: claim, token, agent, status.

mod access;
mod follow;
mod options;
mod origin;
mod provider;

use std::{path::PathBuf, sync::Arc};

use agent::Agent;
use tokio_util::sync::CancellationToken;
use tunnel::message::Bind;

use self::{access::Granted, origin::Prepared};
pub(crate) use self::{options::ShareOptions, provider::Provider};
use crate::{
    credentials,
    failure::{Exit, Failure, OrFail},
    output::Output,
    places, signals,
};

pub(crate) async fn run(options: ShareOptions) -> Result<(), Failure> {
    let mut output = Output::choose(options.json);
    let result = share(&options, &mut output, signals::stop_token()).await;
    output.failed(&result);
    result
}

/// Shares until `stop` is cancelled or the tunnel ends for good.
pub(crate) async fn share(
    options: &ShareOptions,
    output: &mut Output,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let target = origin::target(options)?;
    let access = credentials::find(&options.provider)?;
    let provider = Provider::connect(access.server(), access.ca(), access.api_key())?;
    let about = provider.discover().await?;
    origin::refuse_own_ports(&target, &about.own_ports)?;
    let prepared = origin::prepare(target, options).await?;
    let granted = Granted::obtain(&provider, access, &about, &prepared, options).await?;
    let bind = bind(&granted, &prepared, options);
    let agent = agent(options, &provider, &about.locations, &granted)?;
    follow::follow(&agent, bind, &prepared, &granted, output, stop).await
}

fn bind(granted: &Granted, prepared: &Prepared, options: &ShareOptions) -> Bind {
    Bind {
        id: 1,
        host: granted.name.host().cloned(),
        port: granted.name.port(),
        kind: options.kind,
        proto: prepared.protocol,
        host_header: prepared.host_header.clone(),
    }
}

fn agent(
    options: &ShareOptions,
    provider: &Provider,
    locations: &[String],
    granted: &Granted,
) -> Result<Agent, Failure> {
    Agent::builder()
        .locations(locations.to_vec())
        .tokens(Arc::clone(&granted.tokens))
        .roots(provider.roots().clone())
        .transport(options.transport.into())
        .provider(provider.server())
        .state_dir(resume_dir(options)?)
        .visits(true)
        .build()
        .or_fail(Exit::Failed, "the agent cannot be set up")
}

/// Where resume secrets survive a restart: beside the provider's data in dev, else in the user's state directory.
fn resume_dir(options: &ShareOptions) -> Result<Option<PathBuf>, Failure> {
    let base = options
        .provider
        .data_dir
        .clone()
        .map_or_else(places::data_dir, Ok)?;
    let dir = base.join("resume");
    places::make_private_dir(&dir)?;
    Ok(Some(dir))
}
