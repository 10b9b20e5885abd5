//! The provider of a scale run: control plane and edge over a real etcd, or all in one process. The edge is killed and
//! started again in the same place.

mod etcd;
mod files;

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use self::etcd::Etcd;
pub(super) use self::etcd::load;
use super::{
    ScaleArgs,
    figures::{self, Figures},
};
use crate::{
    problem::{Doing, Outcome, Problem},
    proc::Roles,
    process::Process,
    rows::{free_port, loopback},
};

/// The control plane makes its administrator when the store has come.
const KEY_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

struct Ports {
    https: u16,
    control: u16,
    control_admin: u16,
    edge_admin: u16,
}

pub(super) struct Provider {
    /// Ends first.
    edge: Process,
    edge_role: &'static str,
    edge_file: PathBuf,
    beside: Option<(Process, Etcd)>,
    ports: Ports,
    directory: PathBuf,
}

impl Provider {
    pub(super) fn start(args: &ScaleArgs, directory: &Path) -> Outcome<Self> {
        let ports = Ports {
            https: free_port()?,
            control: free_port()?,
            control_admin: free_port()?,
            edge_admin: free_port()?,
        };
        files::certificates(directory)?;
        if args.embedded {
            Self::alone(args, directory, ports)
        } else {
            Self::over_etcd(args, directory, ports)
        }
    }

    fn alone(args: &ScaleArgs, directory: &Path, ports: Ports) -> Outcome<Self> {
        let edge_file = files::serve(directory, &ports, args)?;
        let edge = process(args, "serve", &edge_file, directory)?;
        let made = directory.join("serve/admin-credential.json");
        files::credential(directory, &made, &ports)?;
        Ok(Self {
            edge,
            edge_role: "serve",
            edge_file,
            beside: None,
            ports,
            directory: directory.to_owned(),
        })
    }

    fn over_etcd(args: &ScaleArgs, directory: &Path, ports: Ports) -> Outcome<Self> {
        let etcd = Etcd::start(directory)?;
        let file = files::control_plane(directory, &ports, &etcd.url())?;
        let control = process(args, "control-plane", &file, directory)?;
        let made = directory.join("control-plane/admin-credential.json");
        wait_for(&made)?;
        files::credential(directory, &made, &ports)?;
        files::secret(&directory.join("role.key"), &role_key(args, directory)?)?;
        let edge_file = files::edge(directory, &ports, &etcd.url(), args)?;
        let edge = process(args, "edge", &edge_file, directory)?;
        Ok(Self {
            edge,
            edge_role: "edge",
            edge_file,
            beside: Some((control, etcd)),
            ports,
            directory: directory.to_owned(),
        })
    }

    pub(super) fn credentials(&self) -> PathBuf {
        self.directory.join("credentials.json")
    }

    pub(super) fn roles(&self) -> Roles {
        let mut roles = Roles::from([(self.edge_role.into(), vec![self.edge.id()])]);
        if let Some((control, etcd)) = &self.beside {
            roles.insert("control-plane".into(), vec![control.id()]);
            roles.insert("etcd".into(), vec![etcd.id()]);
        }
        roles
    }

    /// The edge's own.
    pub(super) fn figures(&self) -> Outcome<Figures> {
        figures::read(loopback(self.ports.edge_admin))
    }

    pub(super) fn etcd(&self) -> Outcome<Option<Figures>> {
        let etcd = self.beside.as_ref().map(|(_, etcd)| etcd);
        etcd.map(Etcd::figures).transpose()
    }

    /// kill -9.
    pub(super) fn kill(&mut self) -> Outcome<()> {
        self.edge.kill()
    }

    /// In the same place as the one that was killed.
    pub(super) fn start_again(&mut self, args: &ScaleArgs) -> Outcome<()> {
        self.edge = process(args, self.edge_role, &self.edge_file, &self.directory)?;
        Ok(())
    }
}

fn process(args: &ScaleArgs, role: &str, file: &Path, directory: &Path) -> Outcome<Process> {
    let mut command = Command::new(&args.adit);
    command.args([role, "--json", "-c"]).arg(file);
    let mut process = Process::start(&mut command, directory, role)?;
    process.wait_for_event("started")?;
    Ok(process)
}

fn wait_for(made: &Path) -> Outcome<()> {
    let begun = Instant::now();
    while !made.exists() {
        if begun.elapsed() > KEY_WITHIN {
            return Err(Problem::new("the control plane makes no administrator"));
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

fn role_key(args: &ScaleArgs, directory: &Path) -> Outcome<String> {
    let mut command = Command::new(&args.adit);
    command.args(["admin", "api-key", "create", "--role", "edge", "--data-dir"]);
    let output = command
        .arg(directory)
        .output()
        .doing("a key for the edge")?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Problem::new(format!("a key for the edge: {said}")))
    }
}
