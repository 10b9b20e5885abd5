//! A provider of several machines on this one: etcd nodes, two control planes, two edges, and agents with an origin.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tests::{
    Authority, Configured, EtcdCluster, Origin, Process, User, WAIT, adit, free_port, http_files,
    libfaketime, program, run, write_secret,
};

use crate::flow::Flow;

pub(crate) const EDGES: [&str; 2] = ["e1", "e2"];
pub(crate) const CONTROL_PLANES: [&str; 2] = ["c1", "c2"];
/// One agent for each way to an edge; the name is that of its endpoint too.
pub(crate) const AGENTS: [&str; 2] = ["quic", "tcp"];
pub(crate) const BODY: &str = "still here";

pub(crate) struct Site {
    pub(crate) etcd: EtcdCluster,
    /// By their names, those that run or are to run.
    pub(crate) processes: BTreeMap<&'static str, Process>,
    dir: TempDir,
    user: User,
    ports: BTreeMap<&'static str, Ports>,
    origin: Origin,
}

#[derive(Clone, Copy)]
struct Ports {
    /// Of a control plane its only one.
    https: u16,
    http: u16,
}

impl Site {
    pub(crate) fn start(etcd_nodes: usize) -> Self {
        let dir = TempDir::new().unwrap();
        let authority = Authority::new(dir.path());
        let (certificate, key) = (dir.path().join("site.pem"), dir.path().join("site.key"));
        authority.issue(&certificate, &key, &["*.t.localhost"]);
        let key = run(program("openssl").args(["rand", "-base64", "32"])).stdout;
        write_secret(
            &dir.path().join("store.key"),
            &String::from_utf8(key).unwrap(),
        );
        let ports = |name| {
            let ports = Ports {
                https: free_port(),
                http: free_port(),
            };
            (name, ports)
        };
        let mut site = Self {
            etcd: EtcdCluster::start(etcd_nodes),
            processes: BTreeMap::new(),
            user: User::new(&authority.root()),
            ports: EDGES.into_iter().chain(CONTROL_PLANES).map(ports).collect(),
            origin: http_files(|_, stream| {
                let length = BODY.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                let _ = stream.write_all(format!("{head}{BODY}").as_bytes());
            }),
            dir,
        };
        site.begin("c1");
        site.processes["c1"].wait_for_stderr("administrator's key was written");
        site.begin("c2");
        let credential = site.dir.path().join("c1.data/admin-credential.json");
        let server = site.server();
        site.user.login(&server, &credential);
        let role_key = site
            .user
            .output(&["admin", "api-key", "create", "--role", "edge"]);
        write_secret(&site.dir.path().join("role-key"), &role_key);
        EDGES
            .into_iter()
            .chain(AGENTS)
            .for_each(|name| site.begin(name));
        site
    }

    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        CONTROL_PLANES.into_iter().chain(EDGES).chain(AGENTS)
    }

    /// Starts a process, for the first time or again, and waits until it says that it serves.
    pub(crate) fn begin(&mut self, name: &'static str) {
        let process = if CONTROL_PLANES.contains(&name) {
            let file = self.control_plane(name);
            Configured::start_by(self.by_clock(name, adit()), "control-plane", &file).process
        } else if EDGES.contains(&name) {
            let file = self.edge(name);
            Configured::start_by(self.by_clock(name, adit()), "edge", &file).process
        } else {
            let target = self.origin.port();
            let args = ["http", &target, "--host", name, "--transport", name];
            User::share_by(self.by_clock(name, self.user.command(&args))).0
        };
        self.processes.insert(name, process);
    }

    /// Every process of the site looks at a clock of its own, which [`Site::step`] sets.
    fn by_clock(&self, name: &str, mut command: Command) -> Command {
        let file = self.clock(name);
        if !file.exists() {
            fs::write(&file, "+0").unwrap();
        }
        command
            .env("LD_PRELOAD", libfaketime())
            .env("FAKETIME_TIMESTAMP_FILE", file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("DONT_FAKE_MONOTONIC", "1");
        command
    }

    fn clock(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.clock"))
    }

    /// Sets the wall clock of a process so many seconds before or behind the right time, while it runs.
    pub(crate) fn step(&self, name: &str, seconds: i64) {
        // In one step: a file that is half written would be another time.
        let (file, new) = (self.clock(name), self.dir.path().join("new.clock"));
        fs::write(&new, format!("{seconds:+}")).unwrap();
        fs::rename(new, file).unwrap();
    }

    pub(crate) fn kill(&mut self, name: &str) {
        self.processes.get_mut(name).unwrap().kill();
    }

    pub(crate) fn pause(&self, name: &str) {
        self.processes[name].signal("STOP");
    }

    pub(crate) fn resume(&self, name: &str) {
        self.processes[name].signal("CONT");
    }

    /// Visits to every agent, from now on.
    pub(crate) fn visits(&self) -> Flow {
        let edges: Vec<_> = EDGES.iter().map(|name| self.ports[name].http).collect();
        let hosts = AGENTS.iter().map(|name| format!("{name}.t.localhost"));
        Flow::start(hosts.collect(), edges)
    }

    /// Waits until each edge has written down whom it serves; it does so within some seconds.
    pub(crate) fn snapshots_are_written(&self) {
        let deadline = Instant::now() + WAIT;
        for edge in EDGES {
            let file = self.dir.path().join(format!("{edge}.data/edge.snapshot"));
            let has_all = || {
                let text = fs::read(&file).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                AGENTS
                    .iter()
                    .all(|name| text.contains(&format!("{name}.t.localhost")))
            };
            while !has_all() {
                assert!(Instant::now() < deadline, "{edge} has no snapshot");
                thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// Waits until etcd holds one placement for each agent, and none of the edges' and agents' earlier lives.
    pub(crate) fn placements_are_those_of_the_agents(&self) {
        let deadline = Instant::now() + WAIT;
        loop {
            let keys = ["get", "--prefix", "--keys-only", "/adit/public/placement/"];
            let keys = self.etcd.control(&keys);
            let held = keys.lines().filter(|line| !line.is_empty()).count();
            if held == AGENTS.len() {
                return;
            }
            assert!(Instant::now() < deadline, "{keys}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// A token that opens a session for a new name; its agent knows nothing else.
    pub(crate) fn token(&self, label: &str) -> PathBuf {
        self.try_token(label).expect("no token")
    }

    /// The same, as soon as control planes have found etcd again.
    pub(crate) fn token_at_last(&self, label: &str) -> PathBuf {
        let deadline = Instant::now() + WAIT;
        loop {
            match self.try_token(label) {
                Ok(token) => return token,
                Err(said) => assert!(Instant::now() < deadline, "{said}"),
            }
        }
    }

    fn try_token(&self, label: &str) -> Result<PathBuf, String> {
        let name = format!("{label}.t.localhost");
        let try_to = |args: &[&str]| {
            let output = run(&mut self.user.command(args));
            let said = String::from_utf8(output.stderr).unwrap();
            if output.status.success() {
                Ok(String::from_utf8(output.stdout).unwrap())
            } else {
                Err(said)
            }
        };
        try_to(&["admin", "endpoint", "claim", label])?;
        let token = try_to(&["admin", "token", "issue", "--endpoint", &name])?;
        let file = self.dir.path().join(format!("{label}.token"));
        write_secret(&file, &token);
        Ok(file)
    }

    /// An agent for a new name, from its start on.
    pub(crate) fn agent(&self, host: &str) -> Process {
        let args = ["http", &self.origin.port(), "--host", host, "--json"];
        Process::start(&mut self.user.command(&args))
    }

    /// An agent with nothing but a token.
    pub(crate) fn agent_with(&self, token: &Path) -> Process {
        let token = token.display().to_string();
        let server = self.server();
        let args = [
            "http",
            &self.origin.port(),
            "--token-file",
            &token,
            "--server",
            &server,
        ];
        self.user.share(&args).0
    }

    fn server(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports["c1"].https)
    }

    fn control_plane(&self, name: &str) -> PathBuf {
        let (own, edge) = (self.ports[name], self.ports["e1"]);
        self.file(name, &format!(
            "zone = \"t.localhost\"\nCOMMON\
             [control-plane]\nlisten = \"127.0.0.1:{}\"\nurl = \"https://adit.t.localhost:{}\"\ntcp_ports = \"none\"\n\
             reserved = [\"e1.t.localhost\", \"e2.t.localhost\"]\nkey_encryption_key_file = \"DIR/store.key\"\n",
            own.https, edge.https
        ))
    }

    fn edge(&self, name: &str) -> PathBuf {
        let own = self.ports[name];
        // Each at a control plane of its own.
        let control = self.ports[if name == "e1" { "c1" } else { "c2" }].https;
        self.file(name, &format!(
            "COMMON[edge]\nid = \"{name}\"\nnames = \"{name}.t.localhost\"\nhttps = \"127.0.0.1:{}\"\n\
             quic = \"127.0.0.1:{}\"\nhttp = \"127.0.0.1:{}\"\nhttp_mode = \"serve\"\n\
             control_plane = \"http://127.0.0.1:{control}\"\nrole_key_file = \"DIR/role-key\"\ndrain = \"2s\"\n\
             [[certificates]]\ncertificate = \"DIR/site.pem\"\nkey = \"DIR/site.key\"\n",
            own.https, own.https, own.http
        ))
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let endpoints: Vec<_> = self
            .etcd
            .endpoints()
            .iter()
            .map(|url| format!("\"{url}\""))
            .collect();
        let dir = self.dir.path().display().to_string();
        let common = format!(
            "data_dir = \"{dir}/{name}.data\"\n[store]\nkind = \"etcd\"\nendpoints = [{}]\n[admin]\nlisten = \"127.0.0.1:0\"\n",
            endpoints.join(", ")
        );
        let file = self.dir.path().join(format!("{name}.toml"));
        fs::write(&file, text.replace("COMMON", &common).replace("DIR", &dir)).unwrap();
        file
    }
}
