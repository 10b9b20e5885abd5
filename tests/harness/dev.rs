//! `adit dev` and `adit http|tls|tcp` as real processes on free ports.

use std::{ops::RangeInclusive, path::PathBuf, process::Command, time::Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Process, WAIT, adit, free_ports};

/// More `tcp` endpoints than a test shares.
const TCP_PORTS: u16 = 20;

/// A provider on this machine, in a data directory of its own.
pub struct Dev {
    pub process: Process,
    pub provider: Value,
    /// The endpoint that `dev` itself shares.
    pub ready: Value,
    data: TempDir,
}

/// A sharing command.
pub struct Share {
    pub process: Process,
    pub ready: Value,
}

impl Dev {
    pub fn start(args: &[&str]) -> Self {
        Self::start_in(TempDir::new().unwrap(), args)
    }

    /// Starts a process that `prepare` has changed: its environment, say.
    pub fn start_with(args: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        Self::start_prepared(TempDir::new().unwrap(), args, prepare)
    }

    /// Starts in a data directory that has been used before.
    pub fn start_in(data: TempDir, args: &[&str]) -> Self {
        Self::start_prepared(data, args, |_| {})
    }

    fn start_prepared(data: TempDir, args: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = adit();
        command
            .arg("dev")
            .args(args)
            .arg("--json")
            .arg("--data-dir")
            .arg(data.path());
        for flag in [
            "--edge-addr",
            "--http-addr",
            "--control-addr",
            "--admin-addr",
        ] {
            if !args.contains(&flag) {
                command.args([flag, "127.0.0.1:0"]);
            }
        }
        // Providers run beside one another here: each has ports of its own for its `tcp` endpoints.
        if !args.contains(&"--tcp-ports") {
            command.args(["--tcp-ports", &written(&free_ports(TCP_PORTS))]);
        }
        prepare(&mut command);
        let process = Process::start(&mut command);
        let (_, provider) = process.wait_for_event(0, "provider");
        let (_, ready) = process.wait_for_event(0, "ready");
        Self {
            process,
            provider,
            ready,
            data,
        }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.data.path().to_owned()
    }

    /// Kills the process with signal 9 and hands back its data directory and addresses.
    pub fn kill(mut self) -> (TempDir, Value) {
        self.process.kill();
        (self.data, self.provider)
    }

    pub fn ca(&self) -> String {
        self.data.path().join("ca.pem").display().to_string()
    }

    /// The HTTP address in the form host:port.
    pub fn http_addr(&self) -> String {
        self.provider["http"][0].as_str().unwrap().to_owned()
    }

    pub fn https_addr(&self) -> String {
        self.provider["https"][0].as_str().unwrap().to_owned()
    }

    pub fn http_port(&self) -> u16 {
        port(&self.http_addr())
    }

    pub fn https_port(&self) -> u16 {
        port(&self.https_addr())
    }

    /// A command of the same binary that finds this provider.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = adit();
        command.args(args).arg("--data-dir").arg(self.data.path());
        command.env("XDG_CONFIG_HOME", self.data.path().join("no-config"));
        command
    }

    /// Shares something else through this provider and waits until it is ready.
    pub fn share(&self, args: &[&str]) -> Share {
        let process = Process::start(self.command(args).arg("--json"));
        let (_, ready) = process.wait_for_event(0, "ready");
        Share { process, ready }
    }

    /// `adit admin … --json`, parsed.
    pub fn admin(&self, args: &[&str]) -> Value {
        let mut words = vec!["admin"];
        words.extend(args);
        let output = crate::run(self.command(&words).arg("--json"));
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The same, asked again until the answer is the wanted one: what edges tell the store comes a moment after they say so
    /// to agents.
    pub fn admin_until(&self, args: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + WAIT;
        loop {
            let answer = self.admin(args);
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{args:?}: {answer}");
        }
    }

    pub fn metrics(&self) -> String {
        let url = format!("{}/metrics", self.provider["admin"].as_str().unwrap());
        String::from_utf8(crate::run(crate::program("curl").args(["-sS", &url])).stdout).unwrap()
    }
}

impl Share {
    pub fn url(&self) -> String {
        first_url(&self.ready)
    }

    /// The URL that begins with `scheme`.
    pub fn url_of(&self, scheme: &str) -> String {
        url_of(&self.ready, scheme)
    }

    pub fn name(&self) -> String {
        self.ready["name"].as_str().unwrap().to_owned()
    }
}

impl Dev {
    pub fn url(&self) -> String {
        first_url(&self.ready)
    }

    pub fn url_of(&self, scheme: &str) -> String {
        url_of(&self.ready, scheme)
    }
}

fn first_url(ready: &Value) -> String {
    ready["urls"][0].as_str().unwrap().to_owned()
}

fn url_of(ready: &Value, scheme: &str) -> String {
    let urls = ready["urls"].as_array().unwrap();
    let start = format!("{scheme}://");
    urls.iter()
        .filter_map(Value::as_str)
        .find(|url| url.starts_with(&start))
        .unwrap()
        .to_owned()
}

fn written(ports: &RangeInclusive<u16>) -> String {
    format!("{}-{}", ports.start(), ports.end())
}

fn port(addr: &str) -> u16 {
    addr.rsplit(':').next().unwrap().parse().unwrap()
}
