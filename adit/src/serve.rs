//! `adit serve`: a whole provider in one process on a public machine.

mod introduce;
mod start;

use self::start::Started;
use crate::{
    cli::ServeArgs,
    configured,
    failure::Failure,
    observe::{self, LogFormat},
    output::{Event, Output},
    places,
    provider::{Lock, notify},
    signals,
};

pub(crate) async fn run(args: ServeArgs, verbose: u8, format: LogFormat) -> Result<(), Failure> {
    let mut output = Output::lines(args.process.json);
    let result = serve(args, verbose, format, &mut output).await;
    output.failed(&result);
    result
}

async fn serve(
    args: ServeArgs,
    verbose: u8,
    format: LogFormat,
    output: &mut Output,
) -> Result<(), Failure> {
    let settings = configured::serve(&args)?;
    observe::start_provider_log(&settings.common.log, verbose, format);
    let data_dir = settings.common.data_dir.clone();
    let data_dir = data_dir.map_or_else(places::provider_data_dir, Ok)?;
    places::make_private_dir(&data_dir)?;
    let mut lock = Lock::take(&data_dir, "adit serve")?;
    let stop = signals::stop_token();
    let started = Started::start(&settings, &data_dir).await?;
    lock.announce(started.server())?;
    output.show(&Event::Started(started.about().clone()));
    notify::tell(notify::State::Ready);
    stop.cancelled().await;
    notify::tell(notify::State::Stopping);
    started.stop().await;
    output.show(&Event::Stopped {
        reason: "you asked for it".into(),
    });
    Ok(())
}
