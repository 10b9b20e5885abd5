//! `adit service`: units that systemd itself finds sound, and that nobody's changes are lost from.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tests::{adit, program, run};

const ROLES: [&str; 4] = ["run", "serve", "control-plane", "edge"];
/// In tenths, as systemd-analyze counts: 10 is safe, a unit without any settings has 96.
const MOST_EXPOSED: &str = "--threshold=20";

struct Bed {
    dir: tempfile::TempDir,
}

impl Bed {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = "[tunnels.web]\nkind = \"http\"\ntarget = \"3000\"\n";
        fs::write(dir.path().join("adit.toml"), text).unwrap();
        Self { dir }
    }

    fn units(&self) -> PathBuf {
        self.dir.path().join("units")
    }

    fn unit(&self, role: &str) -> PathBuf {
        self.units().join(format!("adit-{role}.service"))
    }

    fn service(&self, words: &[&str]) -> Output {
        let mut command = adit();
        command.arg("service").args(words);
        command.arg("--unit-dir").arg(self.units());
        run(&mut command)
    }

    fn install(&self, role: &str, more: &[&str]) -> Output {
        let config = self.dir.path().join("adit.toml");
        let words = ["install", role, "-c", config.to_str().unwrap()];
        self.service(&[&words, more].concat())
    }
}

fn analyze(words: &[&str], unit: &Path) -> Command {
    let mut command = program("systemd-analyze");
    command.args(words).arg(unit);
    command
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(both).unwrap()
}

#[test]
fn systemd_finds_every_unit_sound_and_tight() {
    let bed = Bed::new();
    for role in ROLES {
        let said = bed.install(
            role,
            &[
                "--credential",
                bed.dir.path().join("adit.toml").to_str().unwrap(),
            ],
        );
        assert!(said.status.success(), "{role}: {}", text(&said));
        let verified = run(&mut analyze(&["verify"], &bed.unit(role)));
        assert!(
            verified.status.success() && text(&verified).is_empty(),
            "{role}: {}",
            text(&verified)
        );
        let security = ["security", "--offline=true", "--no-pager", MOST_EXPOSED];
        let judged = run(&mut analyze(&security, &bed.unit(role)));
        assert!(judged.status.success(), "{role}: {}", text(&judged));
    }
    let low_ports = |role: &str| {
        let unit = fs::read_to_string(bed.unit(role)).unwrap();
        unit.contains("AmbientCapabilities=CAP_NET_BIND_SERVICE")
    };
    assert_eq!(ROLES.map(low_ports), [false, true, false, true]);
    let says_when_ready = |role: &str| {
        let unit = fs::read_to_string(bed.unit(role)).unwrap();
        unit.contains("\nType=notify\n")
    };
    assert_eq!(ROLES.map(says_when_ready), [false, true, true, true]);
}

#[test]
fn a_unit_of_a_user_asks_for_nothing_that_only_root_can_give() {
    let bed = Bed::new();
    assert!(bed.install("run", &["--user"]).status.success());
    let mut verify = analyze(&["--user", "verify"], &bed.unit("run"));
    let verified = run(verify.env("XDG_RUNTIME_DIR", bed.dir.path()));
    assert!(verified.status.success(), "{}", text(&verified));
    let unit = fs::read_to_string(bed.unit("run")).unwrap();
    for root_only in [
        "DynamicUser",
        "ProtectSystem",
        "CapabilityBoundingSet",
        "multi-user",
    ] {
        assert!(!unit.contains(root_only), "{root_only}");
    }
}

#[test]
fn a_unit_that_was_changed_by_hand_is_not_written_over() {
    let bed = Bed::new();
    assert!(bed.install("run", &[]).status.success());
    let unit = fs::read_to_string(bed.unit("run")).unwrap();
    let printed = bed.install("run", &["--dry-run"]);
    assert_eq!(text(&printed), unit);
    assert!(text(&bed.install("run", &[])).contains("is as it should be"));

    let changed = unit.replace("RestartSec=5", "RestartSec=50");
    fs::write(bed.unit("run"), &changed).unwrap();
    assert!(text(&bed.service(&["status"])).contains("changed by hand"));
    let refused = bed.install("run", &[]);
    assert_eq!(refused.status.code(), Some(7));
    let said = text(&refused);
    assert!(
        said.contains("- RestartSec=50") && said.contains("+ RestartSec=5"),
        "{said}"
    );
    assert_eq!(bed.service(&["uninstall", "run"]).status.code(), Some(7));
    assert_eq!(fs::read_to_string(bed.unit("run")).unwrap(), changed);

    assert!(bed.install("run", &["--force"]).status.success());
    assert_eq!(fs::read_to_string(bed.unit("run")).unwrap(), unit);
    assert!(bed.service(&["uninstall", "run"]).status.success());
    assert!(!bed.unit("run").exists());
    assert_eq!(bed.service(&["uninstall", "run"]).status.code(), Some(1));
}

#[test]
fn a_file_that_cannot_be_run_is_not_installed() {
    let bed = Bed::new();
    fs::write(bed.dir.path().join("adit.toml"), "[tunnels.web]\n").unwrap();
    let refused = bed.install("run", &[]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(!bed.unit("run").exists());
}
