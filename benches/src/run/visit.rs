//! One sample with a load: bytes, requests or connections.

use std::process::{Command, Stdio};

use super::{Bench, own};
use crate::{
    load::Shape,
    problem::{Doing, Outcome, Problem},
    rows::Standing,
    sample::Measured,
};

pub(super) fn measure(
    bench: &Bench,
    shape: Shape,
    at_once: usize,
    standing: &Standing,
) -> Outcome<Measured> {
    let mut command = load(bench, shape, at_once, standing)?;
    command.args(["--seconds", &bench.seconds.to_string()]);
    command.args(["--warm", &bench.warm.to_string()]);
    let output = command
        .stdin(Stdio::null())
        .output()
        .doing("start the load")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Problem::new(said));
    }
    serde_json::from_slice(&output.stdout).doing("what the load says")
}

/// The load of one shape on one path.
pub(super) fn load(
    bench: &Bench,
    shape: Shape,
    at_once: usize,
    standing: &Standing,
) -> Outcome<Command> {
    let shape = format!("{shape:?}").to_lowercase();
    let mut command = own(&["load", "--shape", &shape])?;
    command.args(["--at-once", &at_once.to_string()]);
    command.args(["--target", &standing.public.target.to_string()]);
    command.args(["--host", &standing.public.host]);
    command.args(["--origin", &bench.address.to_string()]);
    if let Some(ca) = &standing.public.ca {
        command.arg("--ca").arg(ca);
    }
    let mut roles = standing.roles()?;
    roles.push(("origin", bench.origin.tree()?));
    for (role, pids) in roles {
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        command.args(["--watch", &format!("{role}={}", pids.join(","))]);
    }
    Ok(command)
}
