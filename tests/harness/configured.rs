//! `adit serve`, `adit control-plane` and `adit edge`, run from files, and clients of what they make up.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Process, adit, program, run};

/// A process of a provider, and what it said when everything was bound.
pub struct Configured {
    pub process: Process,
    pub started: Value,
}

impl Configured {
    /// `adit COMMAND -c FILE`.
    pub fn start(command: &str, file: &Path) -> Self {
        Self::start_by(adit(), command, file)
    }

    /// The same of a binary that has its own environment.
    pub fn start_by(mut adit: Command, command: &str, file: &Path) -> Self {
        let process = Process::start(adit.args([command, "--json", "-c"]).arg(file));
        let (_, started) = process.wait_for_event(0, "started");
        Self { process, started }
    }

    /// The first address of one of the lists in `started`.
    pub fn first(&self, list: &str) -> String {
        self.started[list][0].as_str().unwrap().to_owned()
    }

    /// What `/ready` answers.
    pub fn ready(&self) -> u16 {
        let url = format!("{}/ready", self.first("admin"));
        let output =
            run(program("curl").args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", &url]));
        String::from_utf8(output.stdout).unwrap().parse().unwrap()
    }
}

/// Someone with a configuration directory of his own.
pub struct User {
    home: TempDir,
    pub ca: PathBuf,
}

impl User {
    pub fn new(ca: &Path) -> Self {
        Self {
            home: TempDir::new().unwrap(),
            ca: ca.to_owned(),
        }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = adit();
        command
            .args(args)
            .env("XDG_CONFIG_HOME", self.home.path())
            .env("XDG_STATE_HOME", self.home.path());
        command
    }

    /// `adit login`, with the key that a process of a provider has written down.
    pub fn login(&self, server: &str, credential: &Path) {
        let text = std::fs::read_to_string(credential).unwrap();
        let kept: Value = serde_json::from_str(&text).unwrap();
        let mut login = Process::start(self.command(&["login", server, "--ca"]).arg(&self.ca));
        login.write_stdin(kept["api_key"].as_str().unwrap().as_bytes());
        login.close_stdin();
        let status = login.wait();
        assert!(status.success(), "{:?}", login.stderr());
    }

    /// Standard output of a command that must succeed.
    pub fn output(&self, args: &[&str]) -> String {
        let output = run(&mut self.command(args));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A sharing command, once it is ready.
    pub fn share(&self, args: &[&str]) -> (Process, Value) {
        Self::share_by(self.command(args))
    }

    /// The same of a command that has its own environment.
    pub fn share_by(mut command: Command) -> (Process, Value) {
        let process = Process::start(command.arg("--json"));
        let (_, ready) = process.wait_for_event(0, "ready");
        (process, ready)
    }

    /// The body of a page that must be there.
    pub fn visit(&self, url: &str) -> String {
        let output = run(program("curl")
            .args(["-sS", "--fail", url, "--cacert"])
            .arg(&self.ca));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{url}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A CA whose certificates are written as files.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    dir: PathBuf,
}

impl Authority {
    pub fn new(dir: &Path) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        // Not the name that leaves have: openssl would take them for self-signed.
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "test root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.clone().self_signed(&key).unwrap();
        std::fs::write(dir.join("root.pem"), root.pem()).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            dir: dir.to_owned(),
        }
    }

    pub fn root(&self) -> PathBuf {
        self.dir.join("root.pem")
    }

    /// A new certificate for the names, into the two files; says which serial number it has.
    pub fn issue(&self, certificate: &Path, key: &Path, names: &[&str]) -> String {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let own = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(names).unwrap();
        let leaf = leaf.signed_by(&own, &self.issuer).unwrap();
        std::fs::write(key, own.serialize_pem()).unwrap();
        std::fs::write(certificate, leaf.pem()).unwrap();
        restrict(key);
        let serial = run(program("openssl")
            .args(["x509", "-noout", "-serial", "-in"])
            .arg(certificate));
        String::from_utf8(serial.stdout).unwrap()
    }
}

fn restrict(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A file that only its owner can read.
pub fn write_secret(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
    restrict(file);
}
