//! `adit config check` and `adit config example`.

mod machine;

use std::{io::Write, path::Path};

use config::{File, Problem, Role};
use serde_json::json;

use crate::{
    cli::{ConfigCommand, RoleName},
    configured, credentials,
    failure::{Exit, Failure},
    run as tunnels,
};

pub(crate) fn run(command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Example { role } => {
            example(role);
            Ok(())
        }
        ConfigCommand::Check { file, role, json } => check(&file, role, json),
    }
}

pub(crate) fn example(role: RoleName) {
    let text = of_provider(role).map_or(tunnels::EXAMPLE, config::example);
    // A reader that closed the pipe has seen enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

pub(crate) fn check(path: &Path, role: Option<RoleName>, json: bool) -> Result<(), Failure> {
    let (role, problems) = examine(path, role)?;
    let mut out = std::io::stdout().lock();
    if json {
        let all: Vec<_> = problems.iter().map(as_json).collect();
        let answer =
            json!({"file": path, "role": role.as_str(), "ok": all.is_empty(), "problems": all});
        let _ = writeln!(out, "{answer}");
    } else if problems.is_empty() {
        let _ = writeln!(out, "{}: good for adit {}", path.display(), role.as_str());
    }
    if problems.is_empty() {
        return Ok(());
    }
    if json {
        let many = if problems.len() == 1 { "" } else { "s" };
        let what = format!("{} has {} problem{many}", path.display(), problems.len());
        return Err(Failure::new(Exit::Usage, what));
    }
    Err(configured::failure(Some(path), &problems))
}

/// Says nothing of a file that is good.
pub(crate) fn require_good(path: &Path, role: RoleName) -> Result<(), Failure> {
    let (_, problems) = examine(path, Some(role))?;
    if problems.is_empty() {
        return Ok(());
    }
    Err(configured::failure(Some(path), &problems))
}

/// Which command a file is for, and everything that is wrong with it.
fn examine(path: &Path, role: Option<RoleName>) -> Result<(RoleName, Vec<Problem>), Failure> {
    let text = credentials::read_bounded(path)?;
    let (file, mut problems) = File::read(&text);
    let name = role.unwrap_or_else(|| likely(&file, &problems));
    let Some(role) = of_provider(name) else {
        return Ok((name, tunnels::problems(path, &text)));
    };
    problems.extend(role.problems(&file));
    problems.extend(machine::problems(role, &file));
    problems.sort_by_key(|problem| problem.at);
    problems.dedup();
    Ok((name, problems))
}

/// `adit run` has a format of its own.
const fn of_provider(role: RoleName) -> Option<Role> {
    match role {
        RoleName::Run => None,
        RoleName::Serve => Some(Role::Serve),
        RoleName::ControlPlane => Some(Role::ControlPlane),
        RoleName::Edge => Some(Role::Edge),
    }
}

/// Keys at the top that only a file of `adit run` has.
const OF_RUN: [&str; 4] = ["tunnels", "server", "credential_file", "token_file"];

/// An edge of its own asks a control plane, and a control plane of its own has none of what an edge has.
fn likely(file: &File, problems: &[Problem]) -> RoleName {
    let keys = || file.places.keys();
    if problems
        .iter()
        .any(|problem| OF_RUN.contains(&&*problem.key))
    {
        RoleName::Run
    } else if keys().any(|key| matches!(key, "edge.control_plane" | "edge.role_key_file")) {
        RoleName::Edge
    } else if file.store.kind != Some(config::StoreKind::Embedded)
        && keys().any(|key| key == "store.endpoints")
        && !keys().any(|key| key.starts_with("edge."))
    {
        RoleName::ControlPlane
    } else {
        RoleName::Serve
    }
}

fn as_json(problem: &Problem) -> serde_json::Value {
    json!({
        "line": problem.at.map(|at| at.line),
        "column": problem.at.map(|at| at.column),
        "key": problem.key,
        "message": problem.message,
        "advice": problem.advice,
    })
}
