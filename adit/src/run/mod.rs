//! `adit run`: many tunnels from one file, in one session, which follows the file.

mod connection;
mod difference;
mod file;
mod fleet;
mod live;
mod retry;
mod tokens;
mod tunnel;
mod watch;

use tokio_util::sync::CancellationToken;

pub(crate) use self::file::{EXAMPLE, problems};
use self::{connection::Connection, file::RunFile, fleet::Fleet};
use crate::{
    cli::{RoleName, RunArgs},
    config_command,
    failure::{Exit, Failure},
    observe::Tunnels,
    output::{Event, TunnelsOutput},
    share, signals,
};

pub(crate) async fn run(args: RunArgs) -> Result<(), Failure> {
    if args.example {
        config_command::example(RoleName::Run);
        return Ok(());
    }
    if args.check {
        return config_command::check(&args.config, Some(RoleName::Run), args.json);
    }
    let mut output = TunnelsOutput::choose(args.json);
    let result = supervise(args, &mut output).await;
    output.failed(&result);
    result
}

async fn supervise(args: RunArgs, output: &mut TunnelsOutput) -> Result<(), Failure> {
    let stop = signals::stop_token();
    let readings = watch::follow(args.config.clone());
    let file = RunFile::read(&args.config)?;
    let shown = Tunnels::default();
    if let Some(addr) = args.admin_addr {
        share::serve_admin(addr, &shown, stop.clone()).await?;
    }
    let Some(connection) = connect(&file, &args, output, &stop).await? else {
        return Ok(());
    };
    let fleet = Fleet::new(args.config, args.provider, file, connection, output, shown);
    fleet.run(readings, stop).await
}

/// A machine may be up before its network or its provider is. None when it was told to stop meanwhile.
async fn connect(
    file: &RunFile,
    args: &RunArgs,
    output: &mut TunnelsOutput,
    stop: &CancellationToken,
) -> Result<Option<Connection>, Failure> {
    let mut failures = 0;
    loop {
        let opening = Connection::open(&file.provider, &args.provider);
        let Some(opened) = stop.run_until_cancelled(opening).await else {
            return Ok(None);
        };
        let failure = match opened {
            Ok(connection) => return Ok(Some(connection)),
            Err(failure) if failure.exit() == Exit::Unreachable => failure,
            Err(failure) => return Err(failure),
        };
        failures += 1;
        let Some(wait) = retry::wait(failure.exit(), failures, rand::random()) else {
            return Err(failure);
        };
        let disconnected = Event::Disconnected {
            reason: failure.to_string(),
            code: None,
            retry_ms: share::millis(wait),
        };
        output.show(None, &disconnected);
        let pause = tokio::time::sleep(wait);
        if stop.run_until_cancelled(pause).await.is_none() {
            return Ok(None);
        }
    }
}
