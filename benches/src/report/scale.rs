//! The table of scale runs, the last one of each size.

use std::{fmt::Write, fs, path::Path};

use super::table::date;
use crate::{
    problem::{Doing, Outcome},
    scale::Scale,
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
    let (sessions, when) = (run.sessions, date(run.time));
    let mut text = format!(
        "`benches/{}`, {when} UTC, commit {}, {}:\n\n",
        run.command, run.commit, run.machine
    );
    let mut line = |what: &str, value: String| {
        let _ = writeln!(text, "| {what} | {value} |");
    };
    line("sessions at one edge", sessions.to_string());
    line("---", "---".into());
    line(
        "names, tokens and sessions made from nothing",
        format!("{:.0} s", run.opened),
    );
    line(
        "user memory of edge and control plane for each",
        format!("{:.1} KiB", run.edge_bytes / 1024.0),
    );
    line(
        "of the agents' processes for each",
        format!("{:.1} KiB", run.agent_bytes / 1024.0),
    );
    for (role, cores) in &run.idle_cores {
        line(
            &format!("cores of {role} while nothing happens"),
            format!("{cores:.3}"),
        );
    }
    for (share, seconds) in &run.back {
        line(
            &format!("{share} % back after kill -9 and restart"),
            format!("{seconds:.1} s"),
        );
    }
    text + "\n"
}
