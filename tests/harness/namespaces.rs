//! Hosts of one network on this machine: network namespaces on a bridge, made and removed by the test. Needs root, or sudo.

use std::{
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use crate::{program, run};

static MADE: AtomicU32 = AtomicU32::new(0);

pub struct Namespaces {
    name: String,
    subnet: String,
    count: usize,
}

impl Namespaces {
    pub fn new(count: usize) -> Self {
        let number = MADE.fetch_add(1, Relaxed);
        let id = process::id();
        // Names of interfaces have at most 15 bytes; networks of processes and tests at one time must differ.
        let hosts = Self {
            name: format!("at{id:x}{number:x}"),
            subnet: format!("10.{}.{}", 64 + (id >> 8) % 64, (id + number) % 256),
            count,
        };
        hosts.ip(&["link", "add", &hosts.name, "type", "bridge"]);
        hosts.ip(&[
            "addr",
            "add",
            &format!("{}.1/24", hosts.subnet),
            "dev",
            &hosts.name,
        ]);
        hosts.ip(&["link", "set", &hosts.name, "up"]);
        (0..count).for_each(|at| hosts.add(at));
        hosts
    }

    pub fn address(&self, at: usize) -> String {
        format!("{}.{}", self.subnet, 10 + at)
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// The words of a command that runs on that host.
    pub fn command(&self, at: usize, binary: &str) -> Vec<String> {
        let mut words = root_words();
        words.extend(["ip", "netns", "exec", &self.host(at), binary].map(Into::into));
        words
    }

    /// A command that is to run on that host, with its environment.
    pub fn inside(&self, at: usize, command: &Command) -> Command {
        let mut words = self.command(at, "env").into_iter();
        let mut inside = program(&words.next().unwrap_or_default());
        inside.args(words);
        // Under sudo the environment would be left behind.
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                let mut pair = name.to_owned();
                pair.push("=");
                pair.push(value);
                inside.arg(pair);
            }
        }
        inside.arg(command.get_program()).args(command.get_args());
        if let Some(directory) = command.get_current_dir() {
            inside.current_dir(directory);
        }
        inside
    }

    /// The longest packet that the host sends to itself.
    pub fn narrow_loopback(&self, at: usize, mtu: u32) {
        let host = self.host(at);
        self.ip(&["-n", &host, "link", "set", "lo", "mtu", &mtu.to_string()]);
    }

    /// From the other hosts in both directions, not from this machine.
    pub fn cut_off(&self, at: usize) {
        self.for_each_way(at, "add");
    }

    pub fn join(&self, at: usize) {
        self.for_each_way(at, "del");
    }

    fn for_each_way(&self, at: usize, verb: &str) {
        for other in (0..self.count).filter(|other| *other != at) {
            for (from, to) in [(at, other), (other, at)] {
                let host = self.host(from);
                self.ip(&["-n", &host, "route", verb, "blackhole", &self.address(to)]);
            }
        }
    }

    fn add(&self, at: usize) {
        let (host, inner, outer) = (self.host(at), "eth0", format!("{}h{at}", self.name));
        self.ip(&["netns", "add", &host]);
        self.ip(&[
            "link", "add", &outer, "type", "veth", "peer", "name", inner, "netns", &host,
        ]);
        self.ip(&["link", "set", &outer, "master", &self.name, "up"]);
        self.ip(&["-n", &host, "link", "set", "lo", "up"]);
        self.ip(&["-n", &host, "link", "set", inner, "up"]);
        let address = format!("{}/24", self.address(at));
        self.ip(&["-n", &host, "addr", "add", &address, "dev", inner]);
    }

    fn host(&self, at: usize) -> String {
        format!("{}n{at}", self.name)
    }

    fn ip(&self, arguments: &[&str]) {
        let output = run(as_root("ip").args(arguments));
        assert!(output.status.success(), "ip {arguments:?}: {output:?}");
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for at in 0..self.count {
            let host = self.host(at);
            // Under sudo the process that we started is not the one that runs there.
            let pids = run(as_root("ip").args(["netns", "pids", &host]));
            for pid in String::from_utf8_lossy(&pids.stdout).split_whitespace() {
                run(as_root("kill").args(["-9", pid]));
            }
            run(as_root("ip").args(["netns", "del", &host]));
        }
        run(as_root("ip").args(["link", "del", &self.name]));
    }
}

fn as_root(name: &str) -> Command {
    let mut words = root_words();
    words.push(name.into());
    let mut command = program(&words[0]);
    command.args(&words[1..]);
    command
}

fn root_words() -> Vec<String> {
    let id = run(program("id").arg("-u"));
    if id.stdout.starts_with(b"0\n") {
        Vec::new()
    } else {
        vec!["sudo".into(), "-n".into()]
    }
}
