//! `ssh -R` through an sshd of our own, with keys made for this run.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{Public, Ready, free_port, listens, loopback};
use crate::{
    problem::{Doing, Outcome, Problem},
    process::Process,
};

pub(super) fn public(origin: SocketAddr, directory: TempDir) -> Outcome<Public> {
    let path = directory.path().to_owned();
    let (server, target) = (loopback(free_port()?), loopback(free_port()?));
    let (host_key, user_key) = (key(&path, "host")?, key(&path, "user")?);
    fs::copy(user_key.with_extension("pub"), path.join("authorized")).doing("authorized keys")?;
    let edge = sshd(server, &host_key, &path)?;
    let mut public = Public::new(target, directory);
    public.edge = Some(edge);
    public.agent(
        Ready::Listens(target),
        ssh(server, target, origin, &user_key),
    );
    Ok(public)
}

fn sshd(listen: SocketAddr, host_key: &Path, directory: &Path) -> Outcome<Process> {
    // sshd asks for it, and the service that would make it does not run everywhere.
    fs::create_dir_all("/run/sshd").doing("/run/sshd (sshd is started as root)")?;
    let config = format!(
        "ListenAddress {listen}
HostKey {}
AuthorizedKeysFile {}
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
LogLevel ERROR
",
        host_key.display(),
        directory.join("authorized").display()
    );
    let file = directory.join("sshd_config");
    fs::write(&file, config).doing("sshd's configuration")?;
    // sshd wants to be called by its whole path.
    let mut command = Command::new("/usr/sbin/sshd");
    let process = Process::start(
        command.args(["-D", "-e", "-f"]).arg(&file),
        directory,
        "edge",
    )?;
    listens(listen, "sshd", directory)?;
    Ok(process)
}

fn ssh(server: SocketAddr, public: SocketAddr, origin: SocketAddr, key: &Path) -> Command {
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-N", "-o", "StrictHostKeyChecking=no"]);
    command.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]);
    command.args([
        "-o",
        "ExitOnForwardFailure=yes",
        "-o",
        "BatchMode=yes",
        "-i",
    ]);
    command.arg(key).args(["-p", &server.port().to_string()]);
    command.args(["-R", &format!("{public}:{origin}"), "127.0.0.1"]);
    command
}

fn key(directory: &Path, name: &str) -> Outcome<PathBuf> {
    let path = directory.join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&path)
        .status()
        .doing("ssh-keygen")?;
    if made.success() {
        Ok(path)
    } else {
        Err(Problem::new("ssh-keygen failed"))
    }
}
