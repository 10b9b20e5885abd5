//! bore: a small tunnel in the clear, one TCP connection from the agent for each visitor.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
};

use tempfile::TempDir;

use super::{Public, Ready, free_port, listens};
use crate::{problem::Outcome, process::Process};

/// bore's control port cannot be chosen, so that each server has a loopback address of its own.
const CONTROL: u16 = 7835;
static NEXT: AtomicU8 = AtomicU8::new(2);

pub(super) fn public(program: &Path, origin: SocketAddr, directory: TempDir) -> Outcome<Public> {
    let own = IpAddr::V4(Ipv4Addr::new(
        127,
        0,
        0,
        NEXT.fetch_add(1, Ordering::Relaxed),
    ));
    let target = SocketAddr::new(own, free_port()?);
    let mut command = Command::new(program);
    command.args(["server", "--bind-addr", &own.to_string()]);
    let edge = Process::start(&mut command, directory.path(), "edge")?;
    listens(
        SocketAddr::new(own, CONTROL),
        "bore server",
        directory.path(),
    )?;
    let mut agent = Command::new(program);
    agent.args([
        "local",
        &origin.port().to_string(),
        "--to",
        &own.to_string(),
    ]);
    agent.args(["--port", &target.port().to_string()]);
    let mut public = Public::new(target, directory);
    public.edge = Some(edge);
    public.agent(Ready::Listens(target), agent);
    Ok(public)
}
