//! Real etcd nodes on loopback, in a folder of their own, that end with their owner.

use std::{
    path::{Path, PathBuf},
    process::Output,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{Namespaces, Process, WAIT, free_port, program, run};

/// How often progress is told by etcd before 3.4.31, which the tests run with; newer ones are asked.
const PROGRESS_EVERY: &str = "100ms";
/// A port that was free may be taken by another test before etcd binds it.
const TRIES: usize = 3;
/// Between two looks at something that has no event to wait for.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Nodes that form one etcd.
pub struct EtcdCluster {
    nodes: Vec<EtcdNode>,
    /// Before `etcdctl`'s arguments, as for its user.
    pub control: Vec<String>,
    folder: TempDir,
}

pub struct EtcdNode {
    process: Option<Process>,
    command: Vec<String>,
    client: String,
}

/// Where one node runs.
struct Place {
    address: String,
    /// For clients and for the other nodes.
    ports: (u16, u16),
    /// Before its arguments.
    command: Vec<String>,
}

/// What is not as usual.
#[derive(Clone, Default)]
pub struct EtcdOptions {
    pub arguments: Vec<String>,
    /// Where the files that `arguments` names lie; clients then speak TLS.
    pub tls: Option<EtcdTls>,
}

/// PEM files: whom nodes trust, their own certificate, and what `etcdctl` shows them.
#[derive(Clone)]
pub struct EtcdTls {
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub client_certificate: PathBuf,
    pub client_key: PathBuf,
}

impl EtcdCluster {
    pub fn start(count: usize) -> Self {
        Self::start_with(count, &EtcdOptions::default())
    }

    pub fn start_with(count: usize, options: &EtcdOptions) -> Self {
        let places = || {
            let place = |_| Place {
                address: "127.0.0.1".into(),
                ports: (free_port(), free_port()),
                command: vec![binary()],
            };
            (0..count).map(place).collect()
        };
        for _ in 1..TRIES {
            if let Some(cluster) = Self::try_start(places(), options) {
                return cluster;
            }
        }
        Self::try_start(places(), options).expect("etcd does not start")
    }

    /// One node on each of these hosts.
    pub fn start_in(hosts: &Namespaces, options: &EtcdOptions) -> Self {
        let place = |at| Place {
            address: hosts.address(at),
            ports: (2379, 2380),
            command: hosts.command(at, &binary()),
        };
        Self::try_start((0..hosts.count()).map(place).collect(), options)
            .expect("etcd does not start")
    }

    fn try_start(places: Vec<Place>, options: &EtcdOptions) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let scheme = if options.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let members: Vec<_> = places
            .iter()
            .enumerate()
            .map(|(at, place)| format!("n{at}={}", place.peer()))
            .collect();
        let mut nodes = Vec::new();
        for (at, place) in places.into_iter().enumerate() {
            let client = format!("{scheme}://{}:{}", place.address, place.ports.0);
            let mut command = place.command.clone();
            command.extend(arguments(
                folder.path(),
                &format!("n{at}"),
                &place.peer(),
                &client,
                &members.join(","),
            ));
            command.extend(options.arguments.iter().cloned());
            command.extend(options.tls.iter().flat_map(EtcdTls::of_node));
            nodes.push(EtcdNode {
                process: None,
                command,
                client,
            });
        }
        let control = options.tls.iter().flat_map(EtcdTls::of_control).collect();
        let mut cluster = Self {
            nodes,
            control,
            folder,
        };
        for node in &mut cluster.nodes {
            node.begin();
        }
        cluster.wait_until_healthy().then_some(cluster)
    }

    pub fn endpoints(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.client.clone()).collect()
    }

    pub fn node(&mut self, at: usize) -> &mut EtcdNode {
        &mut self.nodes[at]
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Standard output of `etcdctl`, which must succeed.
    pub fn control(&self, arguments: &[&str]) -> String {
        let output = self.try_control(&self.endpoints(), arguments);
        assert!(output.status.success(), "etcdctl {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// `etcdctl` at these endpoints, whatever comes of it.
    pub fn try_control(&self, endpoints: &[String], arguments: &[&str]) -> Output {
        let mut command = program("etcdctl");
        command
            .env("ETCDCTL_API", "3")
            .arg(format!("--endpoints={}", endpoints.join(",")))
            .args(&self.control)
            .args(arguments);
        run(&mut command)
    }

    /// Which node leads, as those that answer see it.
    pub fn leader(&self) -> usize {
        let deadline = Instant::now() + WAIT;
        loop {
            for (at, node) in self.nodes.iter().enumerate() {
                let answer = self.try_control(
                    std::slice::from_ref(&node.client),
                    &["endpoint", "status", "-w", "json", "--command-timeout=2s"],
                );
                let status: serde_json::Value =
                    serde_json::from_slice(&answer.stdout).unwrap_or_default();
                let status = &status[0]["Status"];
                if status["leader"].is_u64() && status["leader"] == status["header"]["member_id"] {
                    return at;
                }
            }
            assert!(Instant::now() < deadline, "no node leads");
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Forgets all history up to now, on every node.
    pub fn compact(&self) {
        let status: serde_json::Value =
            serde_json::from_str(&self.control(&["endpoint", "status", "-w", "json"])).unwrap();
        let newest = status
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|node| node["Status"]["header"]["revision"].as_u64())
            .max()
            .unwrap();
        self.control(&["compact", "--physical", &newest.to_string()]);
    }

    /// Waits until every node that runs serves; false when one has ended.
    pub fn wait_until_healthy(&mut self) -> bool {
        let deadline = Instant::now() + WAIT;
        for at in 0..self.nodes.len() {
            while self.nodes[at].process.is_some() {
                let endpoint = std::slice::from_ref(&self.nodes[at].client);
                let healthy = ["endpoint", "health", "--command-timeout=2s"];
                let output = self.try_control(endpoint, &healthy);
                // With authentication on, being asked who one is shows as much.
                let answers = output.status.success()
                    || String::from_utf8_lossy(&output.stderr).contains("user name is empty");
                if answers {
                    break;
                }
                let process = self.nodes[at].process.as_mut().unwrap();
                if !process.is_running() {
                    return false;
                }
                assert!(Instant::now() < deadline, "etcd is not healthy: {output:?}");
                thread::sleep(LOOK_AGAIN);
            }
        }
        true
    }
}

impl EtcdNode {
    pub fn endpoint(&self) -> &str {
        &self.client
    }

    /// Starts it, for the first time or again with what it had.
    pub fn begin(&mut self) {
        let mut command = program(&self.command[0]);
        command.args(&self.command[1..]).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        self.process = Some(Process::start(&mut command));
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// SIGSTOP: it holds its connections and says nothing.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("the node does not run");
        process.signal(signal);
    }
}

impl Place {
    fn peer(&self) -> String {
        format!("http://{}:{}", self.address, self.ports.1)
    }
}

impl EtcdTls {
    fn of_node(&self) -> Vec<String> {
        vec![
            "--client-cert-auth".into(),
            format!("--trusted-ca-file={}", self.ca.display()),
            format!("--cert-file={}", self.certificate.display()),
            format!("--key-file={}", self.key.display()),
        ]
    }

    fn of_control(&self) -> Vec<String> {
        vec![
            format!("--cacert={}", self.ca.display()),
            format!("--cert={}", self.client_certificate.display()),
            format!("--key={}", self.client_key.display()),
        ]
    }
}

/// Another version can be tried with the same tests.
fn binary() -> String {
    std::env::var("ADIT_TEST_ETCD").unwrap_or_else(|_| "etcd".into())
}

fn arguments(folder: &Path, name: &str, peer: &str, client: &str, members: &str) -> Vec<String> {
    let data = folder.join(name);
    let pairs = [
        ("name", name),
        ("data-dir", data.to_str().unwrap()),
        ("listen-peer-urls", peer),
        ("initial-advertise-peer-urls", peer),
        ("listen-client-urls", client),
        ("advertise-client-urls", client),
        ("initial-cluster", members),
        ("logger", "zap"),
        ("log-level", "warn"),
        // Elections within a second even where two cores carry everything.
        ("heartbeat-interval", "50"),
        ("election-timeout", "500"),
        (
            "experimental-watch-progress-notify-interval",
            PROGRESS_EVERY,
        ),
    ];
    pairs
        .iter()
        .map(|(name, value)| format!("--{name}={value}"))
        .collect()
}
