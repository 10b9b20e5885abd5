//! What an idle agent costs the edge, and a program that holds many: memory with few sessions and with many.

use super::{Bench, own};
use crate::{problem::Outcome, proc, process::Process, rows::Row, sample::Measured};

/// What a process takes once, it has taken for these.
const FEW: usize = 20;
const MANY: usize = 300;

/// Bytes for each session, by metric's name: `agent-edge`, `agent-agent`.
pub(super) fn measure(bench: &Bench, row: &Row) -> Outcome<Vec<(String, Measured)>> {
    let public = row.public(bench.address, &bench.programs)?;
    let Some((credentials, transport)) = &public.provider else {
        return Ok(Vec::new());
    };
    let start = |name: &str, count: usize| {
        let mut command = own(&["agents", "--name", name, "--transport", transport])?;
        command.args(["--count", &count.to_string()]);
        command.arg("--credentials").arg(credentials);
        let mut agents = Process::start(&mut command, bench.directory.path(), name)?;
        agents.wait_for(|line| (line == "held").then_some(()))?;
        Ok(agents)
    };
    let few = start("few", FEW)?;
    let edge = memory(public.edge()?)?;
    let many = start("many", MANY)?;
    let edge = memory(public.edge()?)?.saturating_sub(edge) as f64 / MANY as f64;
    let agent = memory(many.tree()?)?.saturating_sub(memory(few.tree()?)?);
    let agent = agent as f64 / (MANY - FEW) as f64;
    many.finish()?;
    few.finish()?;
    Ok(vec![
        ("agent-edge".into(), Measured::plain(edge, MANY as u64)),
        ("agent-agent".into(), Measured::plain(agent, MANY as u64)),
    ])
}

fn memory(pids: Vec<u32>) -> Outcome<u64> {
    Ok(proc::memory_of(&pids)?.pss)
}
