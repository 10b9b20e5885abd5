//! The contract of docs/cli.md: exit codes, messages, what a stranger meets first.

use tests::{Dev, adit, run};

fn without_home(command: &mut std::process::Command) -> &mut std::process::Command {
    let nowhere = std::env::temp_dir().join("adit-test-no-such-home");
    command
        .env("HOME", &nowhere)
        .env("XDG_CONFIG_HOME", &nowhere)
        .env("XDG_STATE_HOME", &nowhere)
}

#[test]
fn without_a_provider_it_says_what_to_type() {
    let output = run(without_home(adit().args(["http", "3000"])));
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("no provider: adit login https://… or adit dev 3000"),
        "{said}"
    );
}

#[test]
fn an_unreachable_provider_has_its_own_code() {
    let port = tests::free_port();
    let server = format!("http://127.0.0.1:{port}");
    let mut command = adit();
    command
        .args(["http", "3000", "--server", &server])
        .env("ADIT_TOKEN", "a.b.c");
    let output = run(without_home(&mut command));
    assert_eq!(
        output.status.code(),
        Some(6),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_target_that_makes_no_sense_is_a_usage_error() {
    let dev = Dev::start(&[]);
    for bad in [
        "0",
        "70000",
        "no such thing",
        "ftp://x",
        "http://",
        "unix:",
        "/no/such/directory",
    ] {
        let output = run(&mut dev.command(&["http", bad]));
        assert_eq!(
            output.status.code(),
            Some(2),
            "{bad}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn sharing_a_port_of_the_provider_itself_is_refused() {
    let dev = Dev::start(&[]);
    let output = run(&mut dev.command(&["http", &dev.http_port().to_string()]));
    assert_eq!(
        output.status.code(),
        Some(2),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn an_explicit_port_that_is_taken_fails_and_a_name_that_is_taken_is_refused() {
    let dev = Dev::start(&[]);
    let taken = dev.http_addr();
    let other = tempfile::tempdir().unwrap();
    let output = run(adit().args([
        "dev",
        "--http-addr",
        &taken,
        "--data-dir",
        other.path().to_str().unwrap(),
    ]));
    assert_eq!(
        output.status.code(),
        Some(7),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let output = run(&mut dev.command(&["http", "3000", "--host", "edge"]));
    assert_eq!(
        output.status.code(),
        Some(5),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn help_version_and_completions_answer() {
    for args in [
        &["--help"][..],
        &["--version"],
        &["http", "--help"],
        &["completions", "bash"],
    ] {
        let output = run(adit().args(args));
        assert!(
            output.status.success() && !output.stdout.is_empty(),
            "{args:?}"
        );
    }
}

#[test]
fn plain_output_in_a_pipe_holds_no_escape_codes() {
    let dev = Dev::start(&[]);
    let process =
        tests::Process::start(&mut dev.command(&["http", "127.0.0.1:9", "--host", "plain"]));
    process.wait_for_line(0, "the URL", |line| {
        line.contains("http://plain.localhost").then_some(())
    });
    assert!(
        process.stdout().iter().all(|line| !line.contains('\x1b')),
        "{:?}",
        process.stdout()
    );
}

#[test]
fn probes_and_metrics_answer() {
    let dev = Dev::start(&[]);
    let admin = dev.provider["admin"].as_str().unwrap();
    for path in ["live", "ready"] {
        let output = run(tests::program("curl").args(["-sSf", &format!("{admin}/{path}")]));
        assert!(output.status.success(), "{path}");
    }
    let metrics = dev.metrics();
    assert!(
        metrics.contains("# TYPE") && metrics.ends_with("# EOF\n"),
        "{metrics}"
    );
}

#[test]
fn the_key_set_is_served() {
    let dev = Dev::start(&[]);
    let server = dev.provider["server"].as_str().unwrap();
    let output =
        run(tests::program("curl").args(["-sSf", &format!("{server}/.well-known/jwks.json")]));
    let keys: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(keys["keys"][0]["kty"], "OKP", "{keys}");
    // The provider's own name leads to the same page through the edge.
    let url = format!(
        "https://adit.localhost:{}/.well-known/jwks.json",
        dev.https_port()
    );
    let through = run(crate::http::curl(&dev).args(["-f", &url]));
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&through.stdout).unwrap(),
        keys,
        "{through:?}"
    );
}
