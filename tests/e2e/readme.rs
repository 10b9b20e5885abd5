//! Every command line of the README does what it says there.
//!
//! Blocks marked `sh` are read. Commands that serve are started and judged by their first URL; the others run to their
//! end. `cargo run -- …` runs the binary that this build made, and the command that passes the tests is this very run.

use std::process::Command;

use tests::{Dev, Process, adit, http_files, root_of_repository, run};

/// The command lines of the README's `sh` blocks.
fn command_lines() -> Vec<String> {
    let readme = std::fs::read_to_string(root_of_repository().join("README.md")).unwrap();
    let mut lines = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            command if inside && !command.is_empty() && !command.starts_with('#') => {
                lines.push(command.to_owned())
            }
            _ => {}
        }
    }
    lines
}

#[test]
fn every_command_line_works() {
    let origin = http_files(|_, stream| {
        let _ = std::io::Write::write_all(
            stream,
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        );
    });
    let dev = Dev::start(&[]);
    let lines = command_lines();
    assert!(lines.len() >= 5, "{lines:?}");
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["tests/run" | "./tests/run"] => {
                assert!(root_of_repository().join("tests/run").is_file())
            }
            ["cargo", "run", rest @ ..] => {
                let args = rest.split(|word| *word == "--").next_back().unwrap();
                serves_dev(&swap_ports(args, &origin.port()));
            }
            ["cargo", "install" | "build", ..] => {}
            ["adit", "dev", ..] => serves_dev(&swap_ports(&words[1..], &origin.port())),
            ["adit", "http" | "tcp" | "tls", ..] => {
                let args = swap_ports(&words[1..], &origin.port());
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                dev.share(&args);
            }
            ["adit", rest @ ..] => {
                let output = run(&mut dev.command(rest));
                assert!(
                    output.status.success(),
                    "{line}: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
            ["curl", rest @ ..] => visits(&dev, rest, &origin.port()),
            _ => panic!("the README has a command that this test does not know: {line}"),
        }
    }
}

/// Targets of the README stand for any local server: the test's own is put in their place.
fn swap_ports(args: &[&str], port: &str) -> Vec<String> {
    let is_target = |word: &str| word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit());
    args.iter()
        .map(|word| {
            if is_target(word) {
                port.to_owned()
            } else {
                (*word).to_owned()
            }
        })
        .collect()
}

fn serves_dev(args: &[String]) {
    let args: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    let dev = Dev::start(&args);
    assert!(dev.url().starts_with("http://"));
}

/// `curl http://NAME.localhost:4480…` against a share of that name.
fn visits(dev: &Dev, args: &[&str], origin: &str) {
    let url = args.iter().find(|word| word.starts_with("http")).unwrap();
    let name = url.split("://").nth(1).unwrap().split('.').next().unwrap();
    let _share = dev.share(&["http", origin, "--host", name]);
    let url = url
        .replace(":4480", &format!(":{}", dev.http_port()))
        .replace(":4443", &format!(":{}", dev.https_port()));
    let mut command: Command = tests::program("curl");
    let output = run(command.args(["-sSf", "--cacert", &dev.ca(), &url]));
    assert!(
        output.status.success(),
        "{url}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_plain_run_prints_the_url_and_how_to_share_more() {
    let data = tempfile::tempdir().unwrap();
    let mut command = adit();
    command.args(["dev", "--data-dir", data.path().to_str().unwrap()]);
    for flag in [
        "--edge-addr",
        "--http-addr",
        "--control-addr",
        "--admin-addr",
    ] {
        command.args([flag, "127.0.0.1:0"]);
    }
    let process = Process::start(&mut command);
    let (at, url) = process.wait_for_line(0, "a URL", |line| {
        line.trim()
            .starts_with("http")
            .then(|| line.trim().to_owned())
    });
    assert!(url.starts_with("http://"), "http comes first: {url}");
    process.wait_for_line(at, "how to share more", |line| {
        line.contains("adit http").then_some(())
    });
}
