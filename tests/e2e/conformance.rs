//! `adit conformance`, asked of our own edge and agent.

use std::fs;

use serde_json::Value;
use tests::{Dev, run};

/// A provider and a token for an endpoint of every kind, in a file below its data directory.
fn provider() -> (Dev, String, String) {
    let dev = Dev::start(&[]);
    let mut issue = vec![
        "token".into(),
        "issue".into(),
        "--host".into(),
        "conformance".into(),
    ];
    for kind in ["tcp", "udp"] {
        let claimed = dev.admin(&["endpoint", "claim", "--kind", kind]);
        let port = claimed["name"]
            .as_str()
            .unwrap()
            .strip_prefix("port:")
            .unwrap();
        issue.extend(["--port".to_owned(), port.to_owned()]);
    }
    dev.admin(&["endpoint", "claim", "passes", "--kind", "tls"]);
    issue.extend(["--host".to_owned(), "passes".to_owned()]);
    let issue: Vec<_> = issue.iter().map(String::as_str).collect();
    let issued = dev.admin(&issue);
    let file = dev.data_dir().join("token");
    fs::write(&file, issued["token"].as_str().unwrap()).unwrap();
    let url = issued["locations"][0].as_str().unwrap().to_owned();
    (dev, url, file.display().to_string())
}

fn expired(dev: &Dev) -> String {
    let token = dev.admin(&["token", "issue", "--host", "conformance", "--ttl", "1s"]);
    let until = token["expires"].as_u64().unwrap();
    // Nothing tells that a second is over but the clock.
    while std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs()
        <= until
    {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let file = dev.data_dir().join("expired");
    fs::write(&file, token["token"].as_str().unwrap()).unwrap();
    file.display().to_string()
}

#[test]
fn our_edge_passes_every_case() {
    let (dev, url, token) = provider();
    let (expired, ca) = (expired(&dev), dev.ca());
    let words = [
        "conformance",
        "edge",
        &url,
        "--token-file",
        &token,
        "--expired-token-file",
        &expired,
        "--ca",
        &ca,
        "--all",
        "--json",
    ];
    let output = run(tests::adit().args(words));
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let cases = report["cases"].as_array().unwrap();
    let others: Vec<_> = cases
        .iter()
        .filter(|case| case["result"] != "passed")
        .collect();
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(output.status.code(), Some(0));
    assert!(cases.len() > 100, "{} cases", cases.len());
}

#[test]
fn what_cannot_be_tested_is_told_and_is_no_success_when_all_is_asked_for() {
    let dev = Dev::start(&[]);
    let issued = dev.admin(&["token", "issue", "--host", "conformance"]);
    let file = dev.data_dir().join("token");
    fs::write(&file, issued["token"].as_str().unwrap()).unwrap();
    let (url, ca) = (issued["locations"][0].as_str().unwrap(), dev.ca());
    let file = file.display().to_string();
    let words = [
        "conformance",
        "edge",
        url,
        "--token-file",
        &file,
        "--ca",
        &ca,
        "--case",
        "bulk",
        "--case",
        "ping",
    ];
    let output = run(tests::adit().args(words));
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{table}");
    assert!(
        table.contains("the token grants no tcp endpoint"),
        "{table}"
    );
    assert!(
        table.ends_with("2 passed, 0 failed, 2 not tested\n"),
        "{table}"
    );
    let output = run(tests::adit().args(words).arg("--all"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_is_asked_wrongly_is_a_mistake_of_usage() {
    let list = run(tests::adit().args(["conformance", "edge", "--list"]));
    assert!(
        String::from_utf8(list.stdout)
            .unwrap()
            .contains("hello-time")
    );
    for words in [
        &["--list", "--case", "nonsense"][..],
        &["--list", "--binding", "pigeon"],
        &[],
    ] {
        let output = run(tests::adit().args(["conformance", "edge"]).args(words));
        assert_eq!(output.status.code(), Some(2), "{words:?}");
    }
}

#[test]
fn an_agent_that_never_comes_fails_and_hears_what_it_is_told() {
    let told = tempfile::NamedTempFile::new().unwrap();
    let command = format!(
        "sh -c 'echo {{url}} {{token}} {{origin}} {{ca}} > {}'",
        told.path().display()
    );
    let words = [
        "conformance",
        "agent",
        "--run",
        &command,
        "--case",
        "hello",
        "--binding",
        "mux",
        "--patience",
        "1s",
    ];
    let output = run(tests::adit().args(words));
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert!(
        table.contains("no TCP connection of the agent within 1.0s"),
        "{table}"
    );
    let told = fs::read_to_string(told.path()).unwrap();
    assert!(
        told.starts_with("https://127.0.0.1:") && told.ends_with(".pem\n"),
        "{told}"
    );
}
