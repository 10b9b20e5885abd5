//! The processes that hold sessions.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{ScaleArgs, memory, provider::Provider};
use crate::{
    problem::{Outcome, Problem},
    process::Process,
    run::own,
};

/// Names and tokens of one account: a small customer with many devices.
const PER_ACCOUNT: usize = 200;
/// Connections that are being opened at once, over all processes: below what an edge takes from one address.
const AT_ONCE: usize = 60;
/// Far longer than all the handshakes take on two cores.
const WITHIN: Duration = Duration::from_secs(900);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Shares of the sessions whose return is timed, in hundredths.
const SHARES: [u32; 4] = [50, 90, 99, 100];

pub(super) struct Agents {
    processes: Vec<Process>,
    sessions: usize,
    /// Memory of the processes before they held anything is small beside this; it is left in.
    each: usize,
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
            command.arg("--credentials").arg(provider.credentials());
            processes.push(Process::start(&mut command, directory, &name)?);
        }
        for process in &mut processes {
            process.wait_within(WITHIN, |line| (line == "held").then_some(()))?;
        }
        Ok(Self {
            processes,
            sessions: each * args.processes,
            each,
        })
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Process::id).collect()
    }

    pub(super) fn memory(&self) -> Outcome<u64> {
        memory(&self.pids())
    }

    /// Seconds until the sessions are up again after `restart`, by shares.
    pub(super) fn back_after(
        &self,
        restart: impl FnOnce() -> Outcome<Instant>,
    ) -> Outcome<Vec<(u32, f64)>> {
        let started = restart()?;
        let mut back = Vec::new();
        // Sessions over QUIC learn of the kill with their next packet: until the new process stands, none counts.
        while let Some(share) = SHARES.get(back.len()) {
            if self.online() * 100 >= self.sessions * *share as usize && self.have_fallen() {
                back.push((*share, started.elapsed().as_secs_f64()));
                continue;
            }
            if started.elapsed() > WITHIN {
                return Err(Problem::new(format!("only {} are back", self.online())));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(back)
    }

    fn online(&self) -> usize {
        let last = |process: &Process| {
            let lines = process.lines();
            let count = |line: &String| line.strip_prefix("online ")?.parse().ok();
            lines.iter().rev().find_map(count).unwrap_or(self.each)
        };
        self.processes.iter().map(last).sum()
    }

    /// Every process has seen that its sessions were lost.
    fn have_fallen(&self) -> bool {
        self.processes.iter().all(|process| {
            process
                .lines()
                .iter()
                .any(|line| line.starts_with("online "))
        })
    }

    pub(super) fn finish(self) -> Outcome<()> {
        self.processes.into_iter().try_for_each(Process::finish)
    }
}
