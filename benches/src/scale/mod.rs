//! The scale run: very many agent sessions at one edge and control plane. What each costs, what holding them costs, how
//! long it takes until all are back after `kill -9`, and what etcd has to do for all that.

mod figures;
mod load;
mod phase;
mod provider;

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

pub(crate) use self::phase::Phase;
use self::{figures::sum, load::Agents, phase::Begun, provider::Provider};
use crate::{
    machine,
    problem::{Doing, Outcome, Problem},
    proc::Memory,
};

/// How long the sessions are held before the kill: keepalives of every session are in it.
const HOLD: Duration = Duration::from_secs(20);
/// Shares of the sessions whose return is timed, in hundredths.
const SHARES: [u32; 4] = [50, 90, 99, 100];
/// Far longer than all the handshakes take on two cores.
const BACK_WITHIN: f64 = 600.0;
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Series of the edge that tell what did not go as it should.
const TROUBLE: [&str; 4] = [
    "adit_edge_bounds_hit_total",
    "adit_edge_hellos_refused_total",
    "adit_edge_store_failures_total",
    "adit_edge_accept_failures_total",
];

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ScaleArgs {
    /// Sessions in all
    #[arg(long, default_value_t = 20_000)]
    pub(crate) sessions: usize,
    /// Processes that hold them; every other one over QUIC, the rest over TCP
    #[arg(long, default_value_t = 4)]
    pub(crate) processes: usize,
    /// One `adit serve` over its own store instead of a control plane and an edge over etcd
    #[arg(long)]
    pub(crate) embedded: bool,
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
    /// What the processes take before there is any session.
    pub(crate) before: BTreeMap<String, Memory>,
    /// All made from nothing, names and tokens included; nothing happens; all come back.
    pub(crate) phases: Vec<Phase>,
    /// Seconds from the start of the new process until so many of a hundred were back.
    pub(crate) back: Vec<(u32, f64)>,
    /// What the edge that was killed, and the one after it, counted that should not be.
    pub(crate) trouble: [BTreeMap<String, f64>; 2],
    pub(crate) time: u64,
    pub(crate) commit: String,
    pub(crate) machine: String,
    pub(crate) command: String,
}

pub(crate) fn run(args: &ScaleArgs) -> Outcome<()> {
    fs::create_dir_all(&args.out).doing("the directory of the samples")?;
    let directory = TempDir::new().doing("temporary directory")?;
    let mut provider = Provider::start(args, directory.path())?;
    let before = phase::memory(&provider, None)?;
    let begun = Begun::now("open", &provider, None)?;
    let agents = Agents::start(args, &provider, directory.path())?;
    written(&provider, &begun)?;
    let open = begun.end(&provider, &agents)?;
    say(&format!("{} held: {open:?}", args.sessions));
    let begun = Begun::now("idle", &provider, Some(&agents))?;
    thread::sleep(HOLD);
    let idle = begun.end(&provider, &agents)?;
    let first = trouble(&provider)?;
    say(&format!("{idle:?}, {first:?}"));
    provider.kill()?;
    provider.start_again(args)?;
    let begun = Begun::now("back", &provider, Some(&agents))?;
    let back = back(args, &provider, &begun)?;
    written(&provider, &begun)?;
    let again = begun.end(&provider, &agents)?;
    let scale = Scale {
        sessions: args.sessions,
        before,
        phases: vec![open, idle, again],
        back,
        trouble: [first, trouble(&provider)?],
        time: machine::now(),
        commit: machine::commit(),
        machine: machine::describe(),
        command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
    };
    agents.finish()?;
    keep(args, &scale)
}

/// Seconds from the start of the new process until it holds so many of a hundred sessions. It is asked itself: an agent
/// over QUIC that has nothing to send believes in its session until its next keepalive.
fn back(args: &ScaleArgs, provider: &Provider, begun: &Begun) -> Outcome<Vec<(u32, f64)>> {
    let mut back = Vec::new();
    while let Some(share) = SHARES.get(back.len()) {
        let sessions = sum(&provider.figures()?, "adit_edge_sessions");
        if sessions * 100.0 >= args.sessions as f64 * f64::from(*share) {
            say(&format!("{share} % back after {:.1} s", begun.elapsed()));
            back.push((*share, begun.elapsed()));
        } else if begun.elapsed() > BACK_WITHIN {
            let trouble = trouble(provider)?;
            return Err(Problem::new(format!(
                "only {sessions} are back: {trouble:?}"
            )));
        } else {
            thread::sleep(LOOK_EVERY);
        }
    }
    Ok(back)
}

/// Waits until the store knows where every session is.
fn written(provider: &Provider, begun: &Begun) -> Outcome<()> {
    while sum(&provider.figures()?, "adit_edge_placements_waiting") > 0.0 {
        if begun.elapsed() > BACK_WITHIN {
            return Err(Problem::new("placements are still not written"));
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

fn trouble(provider: &Provider) -> Outcome<BTreeMap<String, f64>> {
    let figures = provider.figures()?.into_iter();
    let is_trouble = |series: &str| TROUBLE.iter().any(|name| series.starts_with(name));
    Ok(figures
        .filter(|(series, value)| *value > 0.0 && is_trouble(series))
        .collect())
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
