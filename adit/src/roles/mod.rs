//! `adit control-plane` and `adit edge`: the parts of a provider as processes of their own, over one etcd.

mod join;
mod of_control_plane;
mod of_edge;

use std::path::PathBuf;

use crate::{cli::RoleArgs, failure::Failure, observe::LogFormat, output::Output, places};

pub(crate) async fn control_plane(
    args: RoleArgs,
    verbose: u8,
    format: LogFormat,
) -> Result<(), Failure> {
    let mut output = Output::lines(args.process.json);
    let result = of_control_plane::run(args, verbose, format, &mut output).await;
    output.failed(&result);
    result
}

pub(crate) async fn edge(args: RoleArgs, verbose: u8, format: LogFormat) -> Result<(), Failure> {
    let mut output = Output::lines(args.process.json);
    let result = of_edge::run(args, verbose, format, &mut output).await;
    output.failed(&result);
    result
}

/// One directory a role, so that a control plane and an edge can share a machine.
fn data_dir(given: Option<&PathBuf>, role: &str) -> Result<PathBuf, Failure> {
    let dir = match given {
        Some(dir) => dir.clone(),
        None => places::provider_data_dir()?.join(role),
    };
    places::make_private_dir(&dir)?;
    Ok(dir)
}
