//! The one binary: each subcommand wires the parts and holds no logic of its own.

mod admin;
mod cli;
mod config_command;
mod configured;
mod conformance;
mod credentials;
mod dev;
mod doctor;
mod failure;
mod login;
mod observe;
mod output;
mod places;
mod provider;
mod roles;
mod run;
mod serve;
mod service;
mod share;
mod signals;
mod usage;

use std::{num::NonZeroUsize, process::ExitCode};

use clap::Parser;

use crate::{
    cli::{Cli, Command},
    failure::{Exit, Failure},
    observe::LogFormat,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Completions { shell } = &cli.command {
        return finish(cli::completions(*shell));
    }
    // An error means that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // Processes of a provider begin their log when they have read how.
    if !matches!(
        cli.command,
        Command::Serve(_) | Command::ControlPlane(_) | Command::Edge(_)
    ) {
        observe::start_log(cli.verbose, cli.log_format);
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads(&cli.command) {
        runtime.worker_threads(threads.get());
    }
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return finish(Err(Failure::new(
                Exit::Failed,
                format!("no runtime: {error}"),
            )));
        }
    };
    let result = runtime.block_on(traced(cli.command, cli.verbose, cli.log_format));
    // A blocking read of a terminal or a name lookup may still be under way; it has nothing left to tell.
    runtime.shutdown_background();
    finish(result)
}

/// How many threads carry bytes; none is one for each core. An agent's session is one connection, so a second thread only
/// wakes the first one (docs/decisions/0019). What is shown on a terminal has the main thread for itself, so that a
/// terminal which stands still holds up nobody.
fn threads(command: &Command) -> Option<NonZeroUsize> {
    match command {
        Command::Dev(args) => args.threads,
        Command::Serve(args) => args.process.threads,
        Command::ControlPlane(args) | Command::Edge(args) => args.process.threads,
        _ => Some(NonZeroUsize::MIN),
    }
}

#[cfg(feature = "otel")]
async fn traced(command: Command, verbose: u8, format: LogFormat) -> Result<(), Failure> {
    let traces = observe::Traces::start();
    let result = run(command, verbose, format).await;
    traces.finish().await;
    result
}

#[cfg(not(feature = "otel"))]
use self::run as traced;

async fn run(command: Command, verbose: u8, format: LogFormat) -> Result<(), Failure> {
    match command {
        Command::Dev(args) => dev::run(args).await,
        Command::Serve(args) => serve::run(args, verbose, format).await,
        Command::ControlPlane(args) => roles::control_plane(args, verbose, format).await,
        Command::Edge(args) => roles::edge(args, verbose, format).await,
        Command::Config(command) => config_command::run(command),
        Command::Http(args) => share::run(args.into()).await,
        Command::Tls(args) => share::run(args.into()).await,
        Command::Tcp(args) => share::run(args.into()).await,
        Command::Udp(args) => share::run(args.into()).await,
        Command::Run(args) => run::run(args).await,
        Command::Service(command) => service::run(command),
        Command::Doctor(args) => doctor::run(args).await,
        Command::Conformance(command) => conformance::run(command).await,
        Command::Login(args) => login::run(args).await,
        Command::Admin(args) => admin::run(args).await,
        Command::Completions { shell } => cli::completions(shell),
    }
}

fn finish(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            failure.exit().into()
        }
    }
}
