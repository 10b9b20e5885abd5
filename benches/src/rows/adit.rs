//! adit: a provider in one process, an agent in another.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Public, Ready, free_port, loopback};
use crate::{
    problem::{Doing, Outcome},
    process::Process,
};

/// The first label of the http endpoints.
const LABEL: &str = "bench";

/// What an adit row carries over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    visitor: Visitor,
    transport: &'static str,
}

/// How visitors come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visitor {
    /// To a port of a tcp endpoint
    Tcp,
    /// To an http endpoint, in the clear
    Http,
    /// To an http endpoint, over TLS
    Https,
}

impl Carried {
    pub(crate) const ALL: [Self; 6] = [
        Self::new(Visitor::Tcp, "tcp"),
        Self::new(Visitor::Tcp, "quic"),
        Self::new(Visitor::Http, "tcp"),
        Self::new(Visitor::Http, "quic"),
        Self::new(Visitor::Https, "tcp"),
        Self::new(Visitor::Https, "quic"),
    ];

    const fn new(visitor: Visitor, transport: &'static str) -> Self {
        Self { visitor, transport }
    }

    pub(crate) fn is_tcp(self) -> bool {
        self.visitor == Visitor::Tcp
    }

    pub(crate) fn name(self) -> String {
        let visitor = match self.visitor {
            Visitor::Tcp => "tcp",
            Visitor::Http => "http",
            Visitor::Https => "https",
        };
        let transport = match self.transport {
            "tcp" => "mux",
            other => other,
        };
        format!("adit-{visitor}-{transport}")
    }
}

pub(super) fn public(
    program: &Path,
    carried: Carried,
    origin: SocketAddr,
    directory: TempDir,
) -> Outcome<Public> {
    let path = directory.path().to_owned();
    let tcp = free_port()?;
    let (edge, provider) = provider(program, tcp, &path)?;
    let target = match carried.visitor {
        Visitor::Tcp => loopback(tcp),
        Visitor::Http => address(&provider["http"][0])?,
        Visitor::Https => address(&provider["https"][0])?,
    };
    let mut public = Public::new(target, directory);
    public.edge = Some(edge);
    public.host = format!("{LABEL}.{}", provider["zone"].as_str().unwrap_or_default());
    public.provider = Some((data(&path).join("credentials.json"), carried.transport));
    public.ca = (carried.visitor == Visitor::Https).then(|| data(&path).join("ca.pem"));
    let agent = agent(program, carried, origin, &path);
    public.agent(Ready::Event(carried.transport), agent);
    Ok(public)
}

/// `adit dev`, with its data in `directory`.
fn provider(program: &Path, tcp: u16, directory: &Path) -> Outcome<(Process, Value)> {
    let mut command = command(program, directory);
    command.arg("dev");
    for flag in [
        "--edge-addr",
        "--http-addr",
        "--control-addr",
        "--admin-addr",
    ] {
        command.args([flag, "127.0.0.1:0"]);
    }
    command.args(["--tcp-ports", &format!("{tcp}-{tcp}"), "--json"]);
    let mut edge = Process::start(&mut command, directory, "edge")?;
    let provider = edge.wait_for_event("provider")?;
    edge.wait_for_event("ready")?;
    Ok((edge, provider))
}

fn agent(program: &Path, carried: Carried, origin: SocketAddr, directory: &Path) -> Command {
    let mut command = command(program, directory);
    match carried.visitor {
        Visitor::Tcp => command.args(["tcp", &origin.to_string()]),
        _ => command.args(["http", &format!("http://{origin}"), "--host", LABEL]),
    };
    command.args(["--transport", carried.transport, "--json"]);
    command
}

fn command(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ADIT_")) {
        command.env_remove(name);
    }
    command.env("ADIT_DATA_DIR", data(directory));
    command.env("XDG_CONFIG_HOME", directory.join("config"));
    command
}

fn data(directory: &Path) -> PathBuf {
    directory.join("data")
}

fn address(value: &Value) -> Outcome<SocketAddr> {
    let text = value.as_str().unwrap_or_default();
    text.parse().doing("an address of the provider")
}
