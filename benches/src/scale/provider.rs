//! The provider of a scale run: killed and started again in the same place.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use super::{ScaleArgs, memory};
use crate::{
    problem::{Doing, Outcome, Problem},
    proc::Roles,
    process::Process,
    rows::{free_port, loopback},
};

/// The gauge, with its labels.
const SESSIONS: &str = "adit_edge_sessions{";

pub(super) struct Provider {
    process: Process,
    addresses: Vec<(&'static str, SocketAddr)>,
    directory: PathBuf,
}

impl Provider {
    pub(super) fn start(args: &ScaleArgs, directory: &Path) -> Outcome<Self> {
        let addresses: Outcome<Vec<_>> = [
            "--edge-addr",
            "--http-addr",
            "--control-addr",
            "--admin-addr",
        ]
        .into_iter()
        .map(|flag| Ok((flag, loopback(free_port()?))))
        .collect();
        let addresses = addresses?;
        let process = dev(args, &addresses, directory)?;
        Ok(Self {
            process,
            addresses,
            directory: directory.to_owned(),
        })
    }

    pub(super) fn credentials(&self) -> PathBuf {
        self.directory.join("data/credentials.json")
    }

    pub(super) fn memory(&self) -> Outcome<u64> {
        memory(&[self.process.id()])
    }

    pub(super) fn roles(&self) -> Outcome<Roles> {
        Ok(Roles::from([("edge".into(), vec![self.process.id()])]))
    }

    /// Sessions that the edge holds, by its own metrics.
    pub(super) fn sessions(&self) -> Outcome<usize> {
        let (_, admin) = self
            .addresses
            .last()
            .ok_or_else(|| Problem::new("no admin address"))?;
        let mut stream = TcpStream::connect(admin).doing("the admin address")?;
        let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).doing("ask for metrics")?;
        let mut text = String::new();
        stream.read_to_string(&mut text).doing("read metrics")?;
        let gauges = text.lines().filter(|line| line.starts_with(SESSIONS));
        let values = gauges.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
        Ok(values.sum())
    }

    /// kill -9, and the moment at which the next process was started.
    pub(super) fn kill_and_start(&mut self, args: &ScaleArgs) -> Outcome<Instant> {
        self.process.kill()?;
        let started = Instant::now();
        self.process = dev(args, &self.addresses, &self.directory)?;
        Ok(started)
    }
}

fn dev(args: &ScaleArgs, addresses: &[(&str, SocketAddr)], directory: &Path) -> Outcome<Process> {
    let mut command = Command::new(&args.adit);
    command.arg("dev").arg("--json");
    command.arg("--data-dir").arg(directory.join("data"));
    for (flag, address) in addresses {
        command.arg(flag).arg(address.to_string());
    }
    command.args(["--tcp-ports", "44000-44000"]);
    let mut process = Process::start(&mut command, directory, "provider")?;
    process.wait_for_event("ready")?;
    Ok(process)
}
