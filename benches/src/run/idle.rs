//! What an idle stream costs: the memory of fresh processes with one such stream, and with many.

use super::{Bench, visit};
use crate::{
    load::Shape,
    problem::Outcome,
    proc::{self, Memory},
    process::Process,
    rows::{Row, Standing},
    sample::Measured,
};

/// Streams that are held: so many that what a process takes once does not show, and within the 1000 of one session.
const IDLE: usize = 900;

/// Bytes for each stream, by metric's name: `idle-edge`, `idle-agent`.
pub(super) fn measure(bench: &Bench, row: &Row) -> Outcome<Vec<(String, Measured)>> {
    let standing = row.start(bench.address, &bench.programs)?;
    let before = with(bench, &standing, 1)?;
    let after = with(bench, &standing, 1 + IDLE)?;
    let pairs = before.into_iter().zip(after);
    Ok(pairs
        .map(|((role, before), (_, after))| {
            let grown = after.pss.saturating_sub(before.pss);
            let measured = Measured::plain(grown as f64 / IDLE as f64, IDLE as u64);
            (format!("idle-{role}"), measured)
        })
        .collect())
}

/// The memory of the roles while so many connections are held.
fn with(bench: &Bench, standing: &Standing, held: usize) -> Outcome<Vec<(&'static str, Memory)>> {
    let mut command = visit::load(bench, Shape::Idle, held, standing)?;
    let mut load = Process::start(&mut command, bench.directory.path(), "load")?;
    load.wait_for(|line| (line == "held").then_some(()))?;
    let roles = standing.roles()?;
    let memory: Outcome<_> = roles
        .into_iter()
        .map(|(role, pids)| Ok((role, proc::memory_of(&pids)?)))
        .collect();
    load.finish()?;
    memory
}
