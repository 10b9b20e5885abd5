//! Signing in without a key: a code is shown here and answered there.

use std::path::PathBuf;

use tests::{Dev, Process, run};

/// A machine that has signed in nowhere, and waits for an answer with a code.
struct Waiting {
    process: Process,
    config: PathBuf,
    code: String,
}

impl Waiting {
    fn start(dev: &Dev) -> Self {
        let config = dev.data_dir().join("new-machine");
        let server = dev.provider["server"].as_str().unwrap();
        let mut command = tests::adit();
        command.args(["login", server, "--device"]);
        let process = Process::start(command.env("XDG_CONFIG_HOME", &config));
        process.wait_for_stderr("Waiting for the answer");
        let told = process.stderr().join("\n");
        let (_, code) = told.split_once("adit admin device approve ").unwrap();
        let code = code.lines().next().unwrap().to_owned();
        Self {
            process,
            config,
            code,
        }
    }
}

#[test]
fn a_machine_is_signed_in_from_another_one() {
    let dev = Dev::start(&[]);
    let mut new = Waiting::start(&dev);
    let shown = dev.admin(&["device", "show", &new.code.to_lowercase()]);
    assert_eq!(shown["scope"], "api");
    assert!(
        shown["client"].as_str().unwrap().starts_with("adit"),
        "{shown}"
    );
    dev.admin(&["device", "approve", &new.code]);
    assert_eq!(
        new.process.wait().code(),
        Some(0),
        "{:?}",
        new.process.stderr()
    );
    let mut claim = tests::adit();
    claim.args(["admin", "endpoint", "claim", "mine"]);
    let claimed = run(claim.env("XDG_CONFIG_HOME", &new.config));
    assert!(claimed.status.success(), "{claimed:?}");
    // It has a key of its own, and the consent that made it is over.
    let keys = dev.admin(&["api-key", "list"]);
    let is_own = |key: &serde_json::Value| {
        key["name"]
            .as_str()
            .unwrap()
            .starts_with("adit login of adit")
    };
    assert!(keys.as_array().unwrap().iter().any(is_own), "{keys}");
    assert_eq!(dev.admin(&["consent", "list"]), serde_json::json!([]));
}

#[test]
fn a_machine_that_is_not_wanted_hears_so() {
    let dev = Dev::start(&[]);
    let mut new = Waiting::start(&dev);
    dev.admin(&["device", "deny", &new.code]);
    assert_eq!(
        new.process.wait().code(),
        Some(5),
        "{:?}",
        new.process.stderr()
    );
    let again = run(&mut dev.command(&["admin", "device", "approve", &new.code]));
    assert_eq!(again.status.code(), Some(5), "{again:?}");
}
