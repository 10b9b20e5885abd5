//! Tokens as people hand them around: issued, given by file and environment, revoked.

use tests::{Dev, Process, run};

use crate::http::curl;

#[test]
fn a_token_alone_is_a_tunnel_until_it_is_revoked() {
    let dev = Dev::start(&[]);
    let claimed = dev.admin(&["endpoint", "claim", "handed"]);
    let token = issue(&dev, "handed.localhost");
    let mut command = tests::adit();
    command
        .args(["http", "127.0.0.1:9", "--host", "handed", "--json"])
        .env("ADIT_TOKEN", &token);
    command.args([
        "--server",
        dev.provider["server"].as_str().unwrap(),
        "--ca",
        &dev.ca(),
    ]);
    command
        .env("XDG_CONFIG_HOME", dev.data_dir().join("none"))
        .env("XDG_STATE_HOME", dev.data_dir().join("agent"));
    let mut holder = Process::start(&mut command);
    holder.wait_for_event(0, "ready");
    dev.admin_until(&["endpoint", "show", "handed"], |shown| {
        shown["placements"].as_array().unwrap().len() == 1
    });

    dev.admin(&[
        "token",
        "revoke",
        "--claim",
        claimed["claim"].as_str().unwrap(),
    ]);
    assert_eq!(holder.wait().code(), Some(4), "{:?}", holder.stderr());
}

#[test]
fn a_released_name_refuses_its_old_token() {
    let dev = Dev::start(&[]);
    dev.admin(&["endpoint", "claim", "moved"]);
    let token = issue(&dev, "moved.localhost");
    dev.admin(&["endpoint", "release", "moved.localhost"]);
    dev.admin(&["endpoint", "claim", "moved"]);
    assert_ne!(share_with(&dev, &token, "moved"), Some(0));
    // And its holder could not have taken it over: the name is still free of sessions.
    let url = format!("http://moved.localhost:{}/", dev.http_port());
    let status = run(curl(&dev).args(["-o", "/dev/null", "-w", "%{http_code}", &url]));
    assert_eq!(status.stdout, b"503");
}

#[test]
fn a_token_opens_only_its_own_name() {
    let dev = Dev::start(&[]);
    dev.admin(&["endpoint", "claim", "mine"]);
    dev.admin(&["endpoint", "claim", "other"]);
    let token = issue(&dev, "mine.localhost");
    assert_eq!(share_with(&dev, &token, "other"), Some(5));
}

#[test]
fn a_token_of_another_key_is_of_no_use_to_its_thief() {
    let dev = Dev::start(&[]);
    dev.admin(&["endpoint", "claim", "bound"]);
    // RFC 8037, appendix A.3: a key that nobody here holds.
    let key = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    let issued = dev.admin(&[
        "token",
        "issue",
        "--endpoint",
        "bound.localhost",
        "--key-thumbprint",
        key,
    ]);
    let token = issued["token"].as_str().unwrap();
    assert_eq!(share_with(&dev, token, "bound"), Some(4));
    let output = run(&mut dev.command(&[
        "admin",
        "token",
        "issue",
        "--endpoint",
        "bound.localhost",
        "--key-thumbprint",
        "short",
    ]));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("RFC 7638"), "{stderr}");
}

#[test]
fn garbage_is_no_token() {
    let dev = Dev::start(&[]);
    for garbage in ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(share_with(&dev, garbage, "any"), Some(4), "{garbage}");
    }
}

fn issue(dev: &Dev, name: &str) -> String {
    let output = run(&mut dev.command(&["admin", "token", "issue", "--endpoint", name]));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The exit code of a sharing command that holds only this token.
fn share_with(dev: &Dev, token: &str, host: &str) -> Option<i32> {
    let file = dev.data_dir().join("token");
    std::fs::write(&file, token).unwrap();
    let mut command = tests::adit();
    command.args([
        "http",
        "127.0.0.1:9",
        "--host",
        host,
        "--token-file",
        file.to_str().unwrap(),
    ]);
    command.args([
        "--server",
        dev.provider["server"].as_str().unwrap(),
        "--ca",
        &dev.ca(),
    ]);
    command
        .env("XDG_CONFIG_HOME", dev.data_dir().join("none"))
        .env("XDG_STATE_HOME", dev.data_dir().join("agent"));
    Process::start(&mut command).wait().code()
}
