//! The scale run: very many agent sessions at one edge and control plane. What each costs, what holding them costs, and
//! how long it takes until all are back after `kill -9`.

mod load;
mod provider;

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use self::{load::Agents, provider::Provider};
use crate::{
    machine,
    problem::{Doing, Outcome, Problem},
    proc::{self, Roles, Window},
};

/// How long the sessions are held before the kill: keepalives of every session are in it.
const HOLD: Duration = Duration::from_secs(20);
/// Shares of the sessions whose return is timed, in hundredths.
const SHARES: [u32; 4] = [50, 90, 99, 100];
/// Far longer than all the handshakes take on two cores.
const BACK_WITHIN: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ScaleArgs {
    /// Sessions in all
    #[arg(long, default_value_t = 20_000)]
    pub(crate) sessions: usize,
    /// Processes that hold them; every other one over QUIC, the rest over TCP
    #[arg(long, default_value_t = 4)]
    pub(crate) processes: usize,
    #[arg(long, default_value = "target/release/adit")]
    pub(crate) adit: PathBuf,
    /// Where scale.jsonl is appended to
    #[arg(long, default_value = "target/bench")]
    pub(crate) out: PathBuf,
}

/// One run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Scale {
    pub(crate) sessions: usize,
    /// Seconds until all were up for the first time, names and tokens included.
    pub(crate) opened: f64,
    /// Bytes of the edge's process for each session, and of a process that holds many.
    pub(crate) edge_bytes: f64,
    pub(crate) agent_bytes: f64,
    /// Cores that the processes used while nothing happened.
    pub(crate) idle_cores: Vec<(String, f64)>,
    /// Seconds from the start of the new process until so many of a hundred were back.
    pub(crate) back: Vec<(u32, f64)>,
    pub(crate) time: u64,
    pub(crate) commit: String,
    pub(crate) machine: String,
    pub(crate) command: String,
}

pub(crate) fn run(args: &ScaleArgs) -> Outcome<()> {
    fs::create_dir_all(&args.out).doing("the directory of the samples")?;
    let directory = TempDir::new().doing("temporary directory")?;
    let mut provider = Provider::start(args, directory.path())?;
    let before = provider.memory()?;
    let begun = Instant::now();
    let agents = Agents::start(args, &provider, directory.path())?;
    let opened = begun.elapsed().as_secs_f64();
    say(&format!("{} sessions after {opened:.1} s", args.sessions));
    let edge_bytes = (provider.memory()?.saturating_sub(before)) as f64 / args.sessions as f64;
    let idle_cores = idle(&provider, &agents)?;
    let agent_bytes = agents.memory()? as f64 / args.sessions as f64;
    let started = provider.kill_and_start(args)?;
    let back = back(args, &provider, started)?;
    let scale = Scale {
        sessions: args.sessions,
        opened,
        edge_bytes,
        agent_bytes,
        idle_cores,
        back,
        time: machine::now(),
        commit: machine::commit(),
        machine: machine::describe(),
        command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
    };
    agents.finish()?;
    keep(args, &scale)
}

/// Cores that each role uses while all sessions do nothing.
fn idle(provider: &Provider, agents: &Agents) -> Outcome<Vec<(String, f64)>> {
    let mut roles: Roles = provider.roles()?;
    roles.insert("agents".into(), agents.pids());
    let window = Window::open(roles)?;
    thread::sleep(HOLD);
    let used = window.close()?;
    let cores = used.cpu.into_iter();
    Ok(cores
        .map(|(role, cpu)| (role, cpu.total() / used.seconds))
        .collect())
}

/// Seconds from the start of the new process until it holds so many of a hundred sessions. It is asked itself: an agent
/// over QUIC that has nothing to send believes in its session until its next keepalive.
fn back(args: &ScaleArgs, provider: &Provider, started: Instant) -> Outcome<Vec<(u32, f64)>> {
    let mut back = Vec::new();
    while let Some(share) = SHARES.get(back.len()) {
        // One is that of the page which `adit dev` itself shares.
        let sessions = provider.sessions()?.saturating_sub(1);
        if sessions * 100 >= args.sessions * *share as usize {
            back.push((*share, started.elapsed().as_secs_f64()));
        } else if started.elapsed() > BACK_WITHIN {
            return Err(Problem::new(format!("only {sessions} are back")));
        } else {
            thread::sleep(LOOK_EVERY);
        }
    }
    Ok(back)
}

fn keep(args: &ScaleArgs, scale: &Scale) -> Outcome<()> {
    let line = serde_json::to_string(scale).doing("the result")?;
    println!("{line}");
    let path = args.out.join("scale.jsonl");
    let file = OpenOptions::new().create(true).append(true).open(path);
    writeln!(file.doing("scale.jsonl")?, "{line}").doing("scale.jsonl")
}

fn say(what: &str) {
    eprintln!("{what}");
}

fn memory(pids: &[u32]) -> Outcome<u64> {
    Ok(proc::memory_of(pids)?.pss)
}
