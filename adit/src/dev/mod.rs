//! `adit dev`: store, control plane, edge and an agent, in one process on this machine.
//!
//! The parts are the ones that run apart elsewhere, and they meet here as they meet there: the agent dials the edge over
//! QUIC or TCP, and asks the control plane over gRPC.

mod account;
mod listen;
mod ports;
mod provider;
mod trust;

use std::path::PathBuf;

use model::{Congestion, Kind};

use self::provider::Started;
use crate::{
    cli::{DevArgs, ProviderArgs, Transport},
    failure::Failure,
    output::{Event, Output},
    places,
    provider::Lock,
    share::{self, ShareOptions, TunnelOptions},
    signals,
};

pub(crate) async fn run(args: DevArgs) -> Result<(), Failure> {
    let mut output = Output::choose(args.json);
    let result = dev(args, &mut output).await;
    output.failed(&result);
    result
}

async fn dev(args: DevArgs, output: &mut Output) -> Result<(), Failure> {
    let data_dir = args.data_dir.clone().map_or_else(places::data_dir, Ok)?;
    let options = share_options(&args, data_dir.clone());
    // Before anything is made on this machine.
    share::target(&options.tunnel)?;
    places::make_private_dir(&data_dir)?;
    let mut lock = Lock::take(&data_dir, "adit dev")?;
    let running = Started::start(&args, &data_dir).await?;
    lock.announce(running.server())?;
    output.show(&Event::Provider(running.about().clone()));
    let stop = signals::stop_token();
    let tunnels = running.tunnels().clone();
    let result = share::share(&options, &tunnels, output, stop).await;
    running.stop().await;
    result
}

/// The share of `dev` itself goes the way that every other one goes.
fn share_options(args: &DevArgs, data_dir: PathBuf) -> ShareOptions {
    ShareOptions {
        tunnel: TunnelOptions {
            host: args.host.as_ref().map(ToString::to_string),
            origin: args.origin.clone(),
            ..TunnelOptions::new(Kind::Http, args.target.clone())
        },
        provider: ProviderArgs {
            data_dir: Some(data_dir),
            ..ProviderArgs::default()
        },
        transport: Transport::Auto,
        congestion: Congestion::System,
        // The provider's own address shows the agent's figures too.
        admin_addr: None,
        json: args.json,
    }
}
