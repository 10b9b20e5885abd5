//! The processes that hold sessions.

use std::{path::Path, time::Duration};

use super::{ScaleArgs, provider::Provider};
use crate::{problem::Outcome, process::Process, run::own};

/// Names and tokens of one account: a small customer with many devices.
const PER_ACCOUNT: usize = 200;
/// Connections that are being opened at once, over all processes: below what an edge takes from one address.
const AT_ONCE: usize = 60;
/// Far longer than all the handshakes take on two cores.
const WITHIN: Duration = Duration::from_secs(900);

/// Bytes of an allocation that gets pages of its own.
const MMAP_FROM: &str = "1048576";

pub(super) struct Agents {
    processes: Vec<Process>,
}

impl Agents {
    pub(super) fn start(args: &ScaleArgs, provider: &Provider, directory: &Path) -> Outcome<Self> {
        let each = args.sessions / args.processes;
        let mut processes = Vec::new();
        for number in 0..args.processes {
            let transport = ["quic", "tcp"][number % 2];
            let name = format!("p{number}");
            let mut command = own(&["agents", "--transport", transport, "--name", &name])?;
            command.args(["--count", &each.to_string()]);
            command.args(["--per-account", &PER_ACCOUNT.to_string()]);
            command.args(["--at-once", &(AT_ONCE / args.processes).to_string()]);
            // quinn zeroes 3 MiB for each socket: from new pages that costs nothing, from used ones that glibc keeps after the
            // first reconnection it would make every session that large, in processes that no real agent resembles.
            command.env("MALLOC_MMAP_THRESHOLD_", MMAP_FROM);
            command.arg("--credentials").arg(provider.credentials());
            processes.push(Process::start(&mut command, directory, &name)?);
        }
        for process in &mut processes {
            process.wait_within(WITHIN, |line| (line == "held").then_some(()))?;
        }
        Ok(Self { processes })
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Process::id).collect()
    }

    pub(super) fn finish(self) -> Outcome<()> {
        self.processes.into_iter().try_for_each(Process::finish)
    }
}
