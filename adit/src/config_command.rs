//! `adit config check` and `adit config example`.

mod machine;

use std::{io::Write, path::Path};

use config::{File, Problem, Role, example};
use serde_json::json;

use crate::{
    cli::ConfigCommand,
    configured, credentials,
    failure::{Exit, Failure},
};

pub(crate) fn run(command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Example { role } => {
            // A reader that closed the pipe has seen enough.
            let _ = std::io::stdout().write_all(example(role.into()).as_bytes());
            Ok(())
        }
        ConfigCommand::Check { file, role, json } => check(&file, role.map(Into::into), json),
    }
}

fn check(path: &Path, role: Option<Role>, json: bool) -> Result<(), Failure> {
    let text = credentials::read_bounded(path)?;
    let (file, mut problems) = File::read(&text);
    let role = role.unwrap_or_else(|| likely(&file));
    problems.extend(role.problems(&file));
    problems.extend(machine::problems(role, &file));
    problems.sort_by_key(|problem| problem.at);
    problems.dedup();
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
        let count = problems.len();
        return Err(Failure::new(
            Exit::Usage,
            format!("{} has {count} problems", path.display()),
        ));
    }
    Err(configured::failure(Some(path), &problems))
}

/// An edge of its own asks a control plane, and a control plane of its own has none of what an edge has.
fn likely(file: &File) -> Role {
    let keys = || file.places.keys();
    if keys().any(|key| matches!(key, "edge.control_plane" | "edge.role_key_file")) {
        Role::Edge
    } else if file.store.kind != Some(config::StoreKind::Embedded)
        && keys().any(|key| key == "store.endpoints")
        && !keys().any(|key| key.starts_with("edge."))
    {
        Role::ControlPlane
    } else {
        Role::Serve
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
