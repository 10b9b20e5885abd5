//! bore: a small tunnel in the clear, one TCP connection from the agent for each visitor.

use std::{net::SocketAddr, path::Path, process::Command};

use tempfile::TempDir;

use super::{Public, Ready, free_port, listens, loopback};
use crate::{problem::Outcome, process::Process};

/// bore's control port cannot be chosen.
const CONTROL: u16 = 7835;

pub(super) fn public(program: &Path, origin: SocketAddr, directory: TempDir) -> Outcome<Public> {
    let target = loopback(free_port()?);
    let mut command = Command::new(program);
    command.args(["server", "--bind-addr", "127.0.0.1"]);
    let edge = Process::start(&mut command, directory.path(), "edge")?;
    listens(loopback(CONTROL), "bore server", directory.path())?;
    let mut agent = Command::new(program);
    agent.args(["local", &origin.port().to_string(), "--to", "127.0.0.1"]);
    agent.args(["--port", &target.port().to_string()]);
    let mut public = Public::new(target, directory);
    public.edge = Some(edge);
    public.agent(Ready::Listens(target), agent);
    Ok(public)
}
