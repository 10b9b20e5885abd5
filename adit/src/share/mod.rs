//! `adit http`, `adit tls`, `adit tcp`, `adit udp`, and the share of `adit dev`: claim, token, agent, status.

mod access;
mod follow;
mod located;
mod options;
mod origin;
mod provider;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use agent::Agent;
use tokio_util::sync::CancellationToken;
use tunnel::message::Bind;

use self::access::Granted;
pub(crate) use self::{
    access::{Claimed, claim},
    follow::{from_edge, millis, numbers, to_ms, tunnel_failure},
    located::Located,
    options::{ShareOptions, TunnelOptions},
    origin::{Prepared, prepare, refuse_own_ports, target},
    provider::{Provider, roots},
};
use crate::{
    cli::ProviderArgs,
    credentials,
    failure::{Exit, Failure, OrFail},
    observe::{self, Admin, Tunnels},
    output::Output,
    places,
    provider::listening,
    signals,
};

pub(crate) async fn run(options: ShareOptions) -> Result<(), Failure> {
    let mut output = Output::choose(options.json);
    let result = share_alone(&options, &mut output).await;
    output.failed(&result);
    result
}

/// Shares, and shows the agent to operators where that is wanted.
async fn share_alone(options: &ShareOptions, output: &mut Output) -> Result<(), Failure> {
    let (tunnels, stop) = (Tunnels::default(), signals::stop_token());
    if let Some(addr) = options.admin_addr {
        serve_admin(addr, &tunnels, stop.clone()).await?;
    }
    share(options, &tunnels, output, stop).await
}

pub(crate) async fn serve_admin(
    addr: SocketAddr,
    tunnels: &Tunnels,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let mut registry = observe::registry();
    tunnels.register(&mut registry);
    let admin = Admin {
        registry: Arc::new(registry),
        ready: Arc::new(tunnels.clone()),
    };
    let listeners = observe::listen(&[addr]).await;
    let listeners =
        listeners.map_err(|(addr, error)| listening::refused(addr, "--admin-addr", &error))?;
    for listener in listeners {
        let addr = listener.local_addr().or_fail(Exit::Failed, addr)?;
        tracing::info!(%addr, "/live, /ready and /metrics are served");
        tokio::spawn(admin.clone().serve(listener, stop.clone()));
    }
    Ok(())
}

/// Shares until `stop` is cancelled or the tunnel ends for good.
pub(crate) async fn share(
    options: &ShareOptions,
    tunnels: &Tunnels,
    output: &mut Output,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let tunnel = &options.tunnel;
    let target = target(tunnel)?;
    let access = credentials::find(&options.provider)?;
    let provider = Provider::connect(access.server(), access.ca(), access.api_key())?;
    let about = provider.discover().await?;
    refuse_own_ports(&target, &about.own_ports)?;
    let prepared = prepare(target, tunnel).await?;
    let granted = Granted::obtain(&provider, access, &about, &prepared, tunnel).await?;
    let bind = bind(1, &granted.claimed, &prepared);
    let agent = agent(options, &provider, &about.locations, &granted)?;
    let tunnel = agent.bind(vec![bind]);
    tunnels.add(tunnel.status());
    follow::follow(
        &tunnel,
        options.tunnel.kind,
        &prepared,
        &granted,
        output,
        stop,
    )
    .await
}

pub(crate) fn bind(id: u32, claimed: &Claimed, prepared: &Prepared) -> Bind {
    Bind {
        id,
        host: claimed.name.host().cloned(),
        port: claimed.name.port(),
        kind: claimed.kind,
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
        .congestion(options.congestion)
        .provider(provider.server())
        .state_dir(Some(resume_dir(&options.provider)?))
        .visits(true)
        .build()
        .or_fail(Exit::Failed, "the agent cannot be set up")
}

/// Where resume secrets survive a restart: beside the provider's data in dev, else in the user's state directory.
pub(crate) fn resume_dir(provider: &ProviderArgs) -> Result<PathBuf, Failure> {
    let base = provider
        .data_dir
        .clone()
        .map_or_else(places::data_dir, Ok)?;
    let dir = base.join("resume");
    places::make_private_dir(&dir)?;
    Ok(dir)
}
