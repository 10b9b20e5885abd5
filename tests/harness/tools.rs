//! Programs: our own binary, and those of others. One that is missing is a failure.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

pub fn root_of_repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The binary that was built beside this test.
pub fn adit() -> Command {
    let deps = std::env::current_exe().unwrap();
    let path = deps.parent().unwrap().parent().unwrap().join("adit");
    assert!(
        path.exists(),
        "{} is missing: cargo build --workspace --all-targets",
        path.display()
    );
    let mut command = Command::new(path);
    // Relative paths in commands are those of the README.
    command.current_dir(root_of_repository());
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("ADIT_") || name.starts_with("OTEL_"))
    {
        command.env_remove(name);
    }
    command
}

/// A program of the system.
pub fn program(name: &str) -> Command {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {name}")])
        .stdout(Stdio::null())
        .status();
    assert!(
        found.is_ok_and(|status| status.success()),
        "{name} is missing: run tests/install"
    );
    Command::new(name)
}

/// Python with the packages of tests/python/requirements.txt, running a script of tests/python.
pub fn python(script: &str) -> Command {
    let root = root_of_repository();
    let interpreter = root.join("target/test-venv/bin/python");
    assert!(
        interpreter.exists(),
        "{} is missing: run tests/install",
        interpreter.display()
    );
    let mut command = Command::new(interpreter);
    command
        .arg("-u")
        .arg(root.join("tests/python").join(script));
    command
}

/// Runs to the end, whatever the exit status.
pub fn run(command: &mut Command) -> Output {
    let name = format!("{command:?}");
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {name}: {error}"))
}

/// A port that was free a moment ago, for programs that cannot be told port 0.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

pub fn install_crypto() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
