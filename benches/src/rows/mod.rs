//! The paths that are compared, each in processes of its own.

mod adit;
mod bore;
mod nginx;
mod ssh;

use std::{
    cell::RefCell,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub(crate) use self::adit::Carried;
use crate::{
    problem::{Doing, Outcome, Problem},
    process::Process,
};

const LISTENS_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Direct,
    Nginx,
    Ssh,
    Bore,
    Adit { program: PathBuf, carried: Carried },
}

/// Programs that rows need.
#[derive(Debug)]
pub(crate) struct Programs {
    /// One or two builds of adit, each with the suffix of its rows.
    pub(crate) adit: Vec<(String, PathBuf)>,
    pub(crate) bore: PathBuf,
}

/// The public side of a path, without its agent.
pub(crate) struct Public {
    /// Where visitors come in, under which name, and the authority if they speak TLS.
    pub(crate) target: SocketAddr,
    pub(crate) host: String,
    pub(crate) ca: Option<PathBuf>,
    /// Where other agents find the credential of this provider, and the transport of the row.
    pub(crate) provider: Option<(PathBuf, &'static str)>,
    edge: Option<Process>,
    agent: Option<Agent>,
    directory: TempDir,
}

/// How the agent of a path is started, and what it says when visitors may come.
struct Agent {
    command: RefCell<Command>,
    ready: Ready,
}

enum Ready {
    /// Something accepts there.
    Listens(SocketAddr),
    /// `adit --json` says so, over this transport.
    Event(&'static str),
}

/// A path that stands; the agent ends before the edge.
pub(crate) struct Standing {
    agent: Option<Process>,
    pub(crate) public: Public,
}

/// All rows, in the order of the table.
pub(crate) fn all(programs: &Programs) -> Vec<Row> {
    let peer = |name: &str, kind| Row {
        name: name.into(),
        kind,
    };
    let mut rows = vec![
        peer("direct", Kind::Direct),
        peer("nginx-x2", Kind::Nginx),
        peer("ssh", Kind::Ssh),
        peer("bore", Kind::Bore),
    ];
    for carried in Carried::ALL {
        for (suffix, program) in &programs.adit {
            rows.push(Row {
                name: format!("{}{suffix}", carried.name()),
                kind: Kind::Adit {
                    program: program.clone(),
                    carried,
                },
            });
        }
    }
    rows
}

impl Row {
    pub(crate) fn public(&self, origin: SocketAddr, programs: &Programs) -> Outcome<Public> {
        let directory = TempDir::new().doing("temporary directory")?;
        match &self.kind {
            Kind::Direct => Ok(Public::new(origin, directory)),
            Kind::Nginx => nginx::public(origin, directory),
            Kind::Ssh => ssh::public(origin, directory),
            Kind::Bore => bore::public(&programs.bore, origin, directory),
            Kind::Adit { program, carried } => adit::public(program, *carried, origin, directory),
        }
    }

    pub(crate) fn start(&self, origin: SocketAddr, programs: &Programs) -> Outcome<Standing> {
        let public = self.public(origin, programs)?;
        let mut agent = public.dial()?;
        if let Some(agent) = &mut agent {
            public.wait(agent)?;
        }
        Ok(Standing { agent, public })
    }

    pub(crate) fn is_direct(&self) -> bool {
        matches!(self.kind, Kind::Direct)
    }

    /// Whether agents of one provider can be counted here: those of tcp endpoints, since visitors make no difference.
    pub(crate) fn has_provider(&self) -> bool {
        matches!(&self.kind, Kind::Adit { carried, .. } if carried.is_tcp())
    }

    /// Whether somebody starts an agent here and waits for it.
    pub(crate) fn is_dialled(&self) -> bool {
        !matches!(self.kind, Kind::Direct | Kind::Nginx)
    }
}

impl Public {
    fn new(target: SocketAddr, directory: TempDir) -> Self {
        Self {
            target,
            host: "localhost".into(),
            ca: None,
            provider: None,
            edge: None,
            agent: None,
            directory,
        }
    }

    fn agent(&mut self, ready: Ready, command: Command) {
        let command = RefCell::new(command);
        self.agent = Some(Agent { command, ready });
    }

    /// The processes of the public side.
    pub(crate) fn edge(&self) -> Outcome<Vec<u32>> {
        self.edge.as_ref().map_or(Ok(Vec::new()), Process::tree)
    }

    /// Starts the agent, and waits for nothing.
    pub(crate) fn dial(&self) -> Outcome<Option<Process>> {
        let path = self.directory.path();
        let agent = self.agent.as_ref();
        agent
            .map(|agent| Process::start(&mut agent.command.borrow_mut(), path, "agent"))
            .transpose()
    }

    fn wait(&self, process: &mut Process) -> Outcome<()> {
        match self.agent.as_ref().map(|agent| &agent.ready) {
            None => Ok(()),
            Some(Ready::Listens(at)) => listens(*at, "the agent", self.directory.path()),
            Some(Ready::Event(transport)) => {
                let ready = process.wait_for_event("ready")?;
                if ready["transport"] == *transport {
                    Ok(())
                } else {
                    Err(Problem::new(format!("not over {transport}: {ready}")))
                }
            }
        }
    }
}

impl Standing {
    /// The processes by role.
    pub(crate) fn roles(&self) -> Outcome<Vec<(&'static str, Vec<u32>)>> {
        let mut roles = Vec::new();
        for (role, process) in [("edge", &self.public.edge), ("agent", &self.agent)] {
            if let Some(process) = process {
                roles.push((role, process.tree()?));
            }
        }
        Ok(roles)
    }
}

/// A port that was free a moment ago, for programs that cannot be told port 0.
pub(crate) fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").doing("a free port")?;
    Ok(listener.local_addr().doing("a free port")?.port())
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Waits until something accepts there.
fn listens(address: SocketAddr, who: &str, directory: &Path) -> Outcome<()> {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        if begun.elapsed() > LISTENS_WITHIN {
            let said: String = std::fs::read_dir(directory)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|entry| entry.path().extension().is_some_and(|end| end == "err"))
                .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
                .collect();
            return Err(Problem::new(format!("{who} does not listen: {said}")));
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
