//! `adit admin`: what is printed, and what the keys that it makes open.

use std::process::Output;

use tests::{Dev, run};

#[test]
fn an_api_key_is_printed_alone_and_opens_what_its_role_allows() {
    let dev = Dev::start(&[]);
    let member = secret(&dev, &["api-key", "create", "--role", "member"]);
    let edge = secret(&dev, &["api-key", "create", "--role", "edge"]);
    assert!(login(&dev, &member).status.success());
    assert!(
        as_logged_in(&dev, &["endpoint", "claim", "shop"])
            .status
            .success()
    );
    let refused = as_logged_in(&dev, &["key", "rotate"]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");

    assert!(login(&dev, &edge).status.success());
    let refused = as_logged_in(&dev, &["endpoint", "list"]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");

    let id: Vec<&str> = member.splitn(4, '_').collect();
    dev.admin(&["api-key", "revoke", &format!("{}_{}", id[1], id[2])]);
    assert_eq!(login(&dev, &member).status.code(), Some(4));
}

/// What a command prints for people, which must be one word.
fn secret(dev: &Dev, args: &[&str]) -> String {
    let output = run(dev.command(&["admin"]).args(args));
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let secret = text.strip_suffix('\n').unwrap();
    assert!(secret.starts_with("adit_key_"), "{secret}");
    assert!(!secret.contains(char::is_whitespace), "{secret}");
    secret.to_owned()
}

/// Keeps a key where [`as_logged_in`] finds it.
fn login(dev: &Dev, key: &str) -> Output {
    let file = dev.data_dir().join("key.txt");
    std::fs::write(&file, key).unwrap();
    let mut command = tests::adit();
    command.args(["login", dev.provider["server"].as_str().unwrap()]);
    command.stdin(std::fs::File::open(&file).unwrap());
    command
        .env("XDG_CONFIG_HOME", dev.data_dir().join("logged-in"))
        .output()
        .unwrap()
}

fn as_logged_in(dev: &Dev, args: &[&str]) -> Output {
    let mut command = tests::adit();
    command.arg("admin").args(args);
    run(command.env("XDG_CONFIG_HOME", dev.data_dir().join("logged-in")))
}
