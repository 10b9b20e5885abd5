//! The tables of scale runs.

use std::{collections::BTreeSet, fmt::Write, fs, path::Path};

use super::table::date;
use crate::{
    problem::{Doing, Outcome},
    scale::{Phase, Scale},
};

/// Nothing where there was no such run.
pub(super) fn write(path: &Path) -> Outcome<String> {
    if !path.exists() {
        return Ok(String::new());
    }
    let text = fs::read_to_string(path).doing(&path.display().to_string())?;
    let runs: Result<Vec<Scale>, _> = text.lines().map(serde_json::from_str).collect();
    let mut text = "\n### Scale\n\n".to_owned();
    for run in runs.doing("a scale run")? {
        text += &one(&run);
    }
    Ok(text)
}

fn one(run: &Scale) -> String {
    let when = date(run.time);
    let mut text = format!(
        "{} sessions: `benches/{}`, {when} UTC, commit {}, {}.\n\n",
        run.sessions, run.command, run.commit, run.machine
    );
    memory(run, &mut text);
    phases(run, &mut text);
    for (share, seconds) in &run.back {
        let _ = writeln!(
            text,
            "- {share} % back {seconds:.1} s after the start of the new process"
        );
    }
    text + "\n"
}

fn memory(run: &Scale, text: &mut String) {
    text.push_str("| user memory (PSS) | before any session | per session, held | per session, all back |\n|---|---|---|---|\n");
    let Some(held) = run.phases.get(1) else {
        return;
    };
    for (role, memory) in &held.memory {
        let before = run.before.get(role).map_or(0, |memory| memory.pss);
        let each = |pss: u64| pss.saturating_sub(before) as f64 / 1024.0 / run.sessions as f64;
        let again = run.phases.last().and_then(|phase| phase.memory.get(role));
        let _ = writeln!(
            text,
            "| {role} | {:.1} MiB | {:.1} KiB | {:.1} KiB |",
            before as f64 / f64::from(1 << 20),
            each(memory.pss),
            each(again.map_or(0, |memory| memory.pss)),
        );
    }
    text.push('\n');
}

/// CPU and etcd, a column for each part of the run.
fn phases(run: &Scale, text: &mut String) {
    row(text, "", run, |phase| phase.name.clone());
    row(text, "---", run, |_| "---".into());
    row(text, "seconds", run, |phase| {
        format!("{:.1}", phase.seconds)
    });
    row(text, "cores that others took", run, |phase| {
        format!("{:.2}", phase.others)
    });
    for role in names(run, |phase| phase.cpu.keys()) {
        row(text, &format!("CPU seconds, {role}"), run, |phase| {
            phase
                .cpu
                .get(&role)
                .map_or_else(|| "-".into(), |seconds| format!("{seconds:.1}"))
        });
    }
    for what in names(run, |phase| phase.etcd.keys()) {
        row(text, &format!("etcd: {what}"), run, |phase| {
            format!("{:.0}", phase.etcd.get(&what).copied().unwrap_or_default())
        });
    }
    text.push('\n');
}

fn names<'r, I: Iterator<Item = &'r String>>(
    run: &'r Scale,
    of: impl Fn(&'r Phase) -> I,
) -> BTreeSet<String> {
    run.phases.iter().flat_map(of).cloned().collect()
}

fn row(text: &mut String, what: &str, run: &Scale, cell: impl Fn(&Phase) -> String) {
    let cells: Vec<_> = run.phases.iter().map(cell).collect();
    let _ = writeln!(text, "| {what} | {} |", cells.join(" | "));
}
