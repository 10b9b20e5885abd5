//! Programs: our own binary, and those of others. One that is missing is a failure.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
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

/// A port on 127.0.0.1 for a listener that cannot take port 0: one that is named before it starts, or starts twice.
pub fn free_port() -> u16 {
    *free_ports(1).start()
}

/// The same for so many ports in a row. None is of those that Linux gives to outgoing connections and to port 0: a test that
/// runs beside this one opens thousands of them, and each would keep a listener from its port.
pub fn free_ports(count: u16) -> RangeInclusive<u16> {
    const FIRST: u32 = 15_000;
    const LAST: u32 = 31_999;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Where another process starts is far away, whatever their ids are.
    let own = std::process::id().wrapping_mul(0x9e37_79b1) >> 8;
    let size = LAST - FIRST + 1;
    for _ in 0..size {
        let taken = TAKEN.fetch_add(u32::from(count), Relaxed);
        let first = FIRST + own.wrapping_add(taken) % size;
        let last = first + u32::from(count) - 1;
        let (Ok(first), Ok(last)) = (u16::try_from(first), u16::try_from(last)) else {
            continue;
        };
        if u32::from(last) <= LAST && (first..=last).all(is_free) {
            return first..=last;
        }
    }
    panic!("no {count} ports in a row are free");
}

fn is_free(port: u16) -> bool {
    let address = ("127.0.0.1", port);
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

/// Where Debian and others have it; it is loaded by `ld.so`, which knows its own directories only.
pub fn libfaketime() -> PathBuf {
    let directories = fs::read_dir("/usr/lib").unwrap();
    directories
        .map(|entry| entry.unwrap().path().join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.exists())
        .expect("libfaketime is missing: run tests/install")
}

pub fn install_crypto() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
