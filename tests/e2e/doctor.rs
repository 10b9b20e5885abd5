//! `adit doctor` on machines that have what it looks for.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tests::{Authority, Configured, Dev, Process, User, free_port, libfaketime, run};

/// What it found, and its exit code.
fn look(command: &mut Command) -> (Value, Option<i32>) {
    let output = run(command.arg("--json"));
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (report, output.status.code())
}

/// The only check whose name ends so.
fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    let mut found = checks
        .iter()
        .filter(|check| check["name"].as_str().unwrap().ends_with(name));
    let check = found
        .next()
        .unwrap_or_else(|| panic!("no {name}: {report:#}"));
    assert!(found.next().is_none(), "{report:#}");
    check
}

#[test]
fn a_provider_that_is_well_is_found_so_with_each_round_trip() {
    let dev = Dev::start(&[]);
    let (report, code) = look(&mut dev.command(&["doctor"]));
    assert_eq!(
        (&report["verdict"], code),
        (&"ok".into(), Some(0)),
        "{report:#}"
    );
    for name in ["provider", "over TCP", "over QUIC"] {
        assert!(check(&report, name)["round_trip_ms"].as_f64().unwrap() > 0.0);
    }
    let websocket = check(&report, "over WebSocket")["seen"].as_str().unwrap();
    assert!(websocket.starts_with("opens in "), "{websocket}");
    let name = dev.ready["name"].as_str().unwrap();
    let credential = check(&report, "credential")["seen"].as_str().unwrap();
    assert!(credential.contains(name), "{credential}");

    let lines = run(&mut dev.command(&["doctor"]));
    let lines = String::from_utf8(lines.stdout).unwrap();
    assert!(
        lines.lines().all(|line| line.starts_with("ok    ")),
        "{lines}"
    );
}

#[test]
fn a_clock_that_is_wrong_is_told() {
    let dev = Dev::start(&[]);
    let mut command = dev.command(&["doctor"]);
    command
        .env("LD_PRELOAD", libfaketime())
        .env("FAKETIME", "+2h")
        .env("DONT_FAKE_MONOTONIC", "1");
    let (report, code) = look(&mut command);
    assert_eq!(code, Some(1), "{report:#}");
    let clock = check(&report, "clock");
    assert_eq!(clock["verdict"], "fail");
    let seen = clock["seen"].as_str().unwrap();
    assert!(seen.contains("ahead of the provider's"), "{seen}");
    assert!(clock["advice"][0].as_str().unwrap().contains("timedatectl"));
}

#[test]
fn an_edge_whose_ca_is_not_known_is_told_and_what_to_do() {
    let dev = Dev::start(&[]);
    let other = TempDir::new().unwrap();
    let root = Authority::new(other.path()).root();
    let (report, code) = look(&mut dev.command(&["doctor", "--ca", root.to_str().unwrap()]));
    assert_eq!((&report["verdict"], code), (&"fail".into(), Some(1)));
    let tcp = check(&report, "over TCP");
    assert!(
        tcp["advice"][0].as_str().unwrap().contains("--ca FILE"),
        "{tcp}"
    );
    assert_eq!(check(&report, "over QUIC")["verdict"], "fail");
}

#[test]
fn where_udp_does_not_get_through_tcp_is_what_is_left() {
    let dir = TempDir::new().unwrap();
    let authority = Authority::new(dir.path());
    let (certificate, key) = (dir.path().join("site.pem"), dir.path().join("site.key"));
    authority.issue(&certificate, &key, &["*.t.localhost"]);
    let (place, https) = (dir.path().display(), free_port());
    let file = dir.path().join("adit.toml");
    let text = format!(
        "zone = \"t.localhost\"\ndata_dir = \"{place}/data\"\n\
         [control-plane]\nlisten = \"127.0.0.1:0\"\ntcp_ports = \"none\"\n\
         [edge]\nhttps = \"127.0.0.1:{https}\"\nhttp = \"127.0.0.1:0\"\nquic = []\n\
         [[certificates]]\ncertificate = \"{place}/site.pem\"\nkey = \"{place}/site.key\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let mut provider = Configured::start("serve", &file);
    let user = User::new(&authority.root());
    let server = format!("https://adit.t.localhost:{https}");
    user.login(&server, &dir.path().join("data/admin-credential.json"));
    let (report, code) = look(&mut user.command(&["doctor"]));
    assert_eq!(
        (&report["verdict"], code),
        (&"warn".into(), Some(0)),
        "{report:#}"
    );
    assert_eq!(check(&report, "over TCP")["verdict"], "ok");
    assert_eq!(check(&report, "provider certificate")["verdict"], "ok");
    let quic = check(&report, "over QUIC");
    assert!(
        quic["advice"][0]
            .as_str()
            .unwrap()
            .contains("agents use TCP"),
        "{quic}"
    );
    assert_eq!(provider.process.terminate().code(), Some(0));
}

#[test]
fn a_token_is_told_by_what_it_allows_and_the_lines_by_what_to_do() {
    let dev = Dev::start(&[]);
    let issued = dev.admin(&["token", "issue", "--host", "looked"]);
    let token = issued["token"].as_str().unwrap();
    let server = dev.provider["server"].as_str().unwrap();
    let mut command = dev.command(&["doctor", "--server", server]);
    let (report, code) = look(command.env("ADIT_TOKEN", token));
    assert_eq!(code, Some(0), "{report:#}");
    let seen = check(&report, "token")["seen"].as_str().unwrap();
    assert!(
        seen.contains("looked.localhost") && seen.contains("bearer"),
        "{seen}"
    );
    assert!(!report.to_string().contains(token));

    let mut command = dev.command(&["doctor", "--server", server]);
    let mut wrong = Process::start(command.env("ADIT_TOKEN", "nonsense"));
    wrong.wait_for_line(0, "what to do", |line| {
        (line == "      adit admin token issue prints one").then_some(())
    });
    assert_eq!(wrong.wait().code(), Some(1));
}
