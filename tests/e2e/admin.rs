//! `adit admin`: what is printed, what the keys that it makes open, and how a lost store comes back.

use std::{
    fs,
    process::{Command, Output},
};

use serde_json::Value;
use tests::{Dev, Process, run};

use crate::http::curl;

#[test]
fn an_api_key_is_printed_alone_and_opens_what_its_role_allows() {
    let dev = Dev::start(&[]);
    let member = secret(
        &dev,
        &["api-key", "create", "--role", "member"],
        "adit_key_",
    );
    let edge = secret(&dev, &["api-key", "create", "--role", "edge"], "adit_key_");
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
    let id = format!("{}_{}", id[1], id[2]);
    let listed = dev.admin(&["api-key", "list"]);
    assert!(
        listed
            .as_array()
            .unwrap()
            .iter()
            .any(|key| key["id"] == id.as_str())
    );
    dev.admin(&["api-key", "revoke", &id]);
    assert_eq!(login(&dev, &member).status.code(), Some(4));
}

#[test]
fn a_token_is_issued_for_a_name_that_nobody_had() {
    let range = tests::free_ports(2);
    let (first, last) = (range.start(), range.end());
    let dev = Dev::start(&["--tcp-ports", &format!("{first}-{last}")]);
    let token = secret(
        &dev,
        &["token", "issue", "--host", "handed", "--ttl", "5m"],
        "ey",
    );
    let mut holder =
        Process::start(alone(&dev, &["http", "127.0.0.1:9", "--json"]).env("ADIT_TOKEN", &token));
    let (_, ready) = holder.wait_for_event(0, "ready");
    assert_eq!(ready["name"], "handed.localhost");
    dev.admin_until(&["endpoint", "show", "handed"], |shown| {
        shown["placements"].as_array().unwrap().len() == 1
    });
    dev.admin_until(&["edge", "list"], |edges| {
        edges[0]["sessions"].as_u64().unwrap() >= 1
    });
    assert_eq!(holder.terminate().code(), Some(0));

    let port = dev.admin(&["token", "issue", "--port", &last.to_string()]);
    assert_eq!(port["endpoints"][0], format!("port:{last}"));
    let long =
        run(&mut dev.command(&["admin", "token", "issue", "--host", "handed", "--ttl", "9d"]));
    assert_eq!(long.status.code(), Some(2), "{long:?}");
}

#[test]
fn an_agent_lives_by_its_credential_until_it_is_revoked() {
    let dev = Dev::start(&[]);
    let made = dev.admin(&["agent", "create", "cam1", "--host", "cam", "--tag", "hall"]);
    let file = dev.data_dir().join("cam1.json");
    fs::write(&file, made.to_string()).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let with_file = |host: &[&str]| {
        let mut words = vec!["http", "127.0.0.1:9", "--json", "--credential-file", &file];
        words.extend(host);
        let mut command = nowhere(&dev);
        command.args(words);
        command
    };
    let mut agent = Process::start(&mut with_file(&[]));
    let (_, ready) = agent.wait_for_event(0, "ready");
    assert_eq!(ready["name"], "cam.localhost");
    let listed = dev.admin_until(&["agent", "list", "--tag", "hall"], |listed| {
        listed[0]["sessions"].as_array().unwrap().len() == 1
    });
    assert!(listed[0]["last_use"].as_u64().is_some(), "{listed}");

    let other = Process::start(&mut with_file(&["--host", "other"]))
        .wait()
        .code();
    assert_eq!(other, Some(5), "it is bound to cam alone");
    let again = run(&mut dev.command(&["admin", "agent", "create", "cam1", "--host", "cam"]));
    assert_eq!(again.status.code(), Some(5), "{again:?}");

    dev.admin(&["agent", "revoke", "cam1"]);
    assert_eq!(agent.wait().code(), Some(4), "{:?}", agent.stderr());
    let credential = made["credential"].as_str().unwrap();
    let mut late = alone(&dev, &["http", "127.0.0.1:9"]);
    let late = Process::start(late.env("ADIT_CREDENTIAL", credential)).wait();
    assert_eq!(late.code(), Some(4));
}

#[test]
fn accounts_come_and_go_and_the_log_says_who_did_it() {
    let dev = Dev::start(&[]);
    let account = secret(&dev, &["account", "create", "customer"], "acc_");
    let shown = dev.admin(&["account", "show", &account]);
    assert_eq!(
        (&shown["name"], &shown["endpoints"]),
        (&"customer".into(), &0.into())
    );
    let key = secret(
        &dev,
        &["api-key", "create", "--account", &account],
        "adit_key_",
    );
    assert!(login(&dev, &key).status.success());
    assert!(
        as_logged_in(&dev, &["endpoint", "claim", "theirs"])
            .status
            .success()
    );

    let unsure = run(&mut dev.command(&["admin", "account", "delete", &account]));
    assert_eq!(unsure.status.code(), Some(2), "{unsure:?}");
    let deleted = dev.admin(&["account", "delete", &account, "--yes"]);
    assert_eq!(
        (&deleted["endpoints"], &deleted["keys"]),
        (&1.into(), &1.into())
    );
    assert_eq!(
        as_logged_in(&dev, &["endpoint", "list"]).status.code(),
        Some(4)
    );

    let log = run(&mut dev.command(&["admin", "audit", "list", "--json"]));
    let records: Vec<Value> = String::from_utf8(log.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let found = |action: &str| {
        records
            .iter()
            .find(|record| record["action"] == action)
            .unwrap()
    };
    assert_eq!(found("account.delete")["target"], account.as_str());
    assert_eq!(found("account.delete")["from"], "127.0.0.1");
    assert_eq!(found("endpoint.claim")["outcome"], "done");
    let text = run(&mut dev.command(&["admin", "audit", "list"]));
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("account.delete"), "{text}");
    assert!(!text.contains('\x1b'), "plain in a pipe");
}

#[test]
fn a_signing_key_that_leaked_is_retired_when_it_is_meant() {
    let dev = Dev::start(&[]);
    let keys = dev.admin(&["key", "list"]);
    let leaked = keys[0]["id"].as_str().unwrap().to_owned();
    let unsure = run(&mut dev.command(&["admin", "key", "retire", &leaked]));
    assert_eq!(unsure.status.code(), Some(2));
    let said = String::from_utf8(unsure.stderr).unwrap();
    assert!(
        said.contains("refuses every token") && said.contains("--yes"),
        "{said}"
    );
    let left = dev.admin(&["key", "retire", &leaked, "--yes"]);
    assert!(
        left.as_array()
            .unwrap()
            .iter()
            .all(|key| key["id"] != leaked.as_str())
    );
    // And tokens are issued as before.
    let token = secret(&dev, &["token", "issue", "--host", "after"], "ey");
    let mut command = alone(&dev, &["http", "127.0.0.1:9", "--json"]);
    let holder = Process::start(command.env("ADIT_TOKEN", &token));
    holder.wait_for_event(0, "ready");
}

/// The store is lost; a backup and its key bring back the names, and agents that never heard of it.
#[test]
fn a_lost_store_is_restored_and_an_old_token_serves_its_name() {
    let control = format!("127.0.0.1:{}", tests::free_port());
    let mut dev = Dev::start(&["--control-addr", &control]);
    let site = dev.data_dir().join("site");
    fs::create_dir(&site).unwrap();
    fs::write(site.join("word.txt"), "kept").unwrap();
    let token = secret(&dev, &["token", "issue", "--host", "kept"], "ey");
    let credential = secret(
        &dev,
        &["agent", "create", "cam1", "--host", "cam"],
        "adit_agt_",
    );
    let backup = dev.data_dir().join("provider.backup");
    let backup = backup.to_str().unwrap().to_owned();
    let written = dev.admin(&["backup", &backup]);
    let piped = run(&mut dev.command(&["admin", "backup"]));
    assert!(
        piped.status.success() && !piped.stdout.is_empty(),
        "{piped:?}"
    );
    let restore = |dev: &Dev, more: &[&str]| {
        let mut words = vec!["admin", "restore", backup.as_str(), "--json"];
        words.extend(more);
        run(&mut dev.command(&words))
    };
    assert_eq!(
        restore(&dev, &[]).status.code(),
        Some(7),
        "the provider runs"
    );

    assert_eq!(dev.process.terminate().code(), Some(0));
    assert_eq!(
        restore(&dev, &[]).status.code(),
        Some(5),
        "the store is not empty"
    );
    fs::remove_file(dev.data_dir().join("store.redb")).unwrap();
    let cut = dev.data_dir().join("cut.backup");
    let whole = fs::read(&backup).unwrap();
    fs::write(&cut, &whole[..whole.len() - 10]).unwrap();
    let refused = run(&mut dev.command(&["admin", "restore", cut.to_str().unwrap()]));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let restored = restore(&dev, &[]);
    assert!(restored.status.success(), "{restored:?}");
    let restored: Value = serde_json::from_slice(&restored.stdout).unwrap();
    assert_eq!(restored["entries"], written["entries"]);
    assert_eq!(restored["sha256"], written["sha256"]);

    // At the same address, because tokens say who issued them.
    let (data, _) = dev.kill();
    let dev = Dev::start_in(data, &["--control-addr", &control]);
    let mut command = alone(&dev, &["http", site.to_str().unwrap(), "--json"]);
    let holder = Process::start(command.env("ADIT_TOKEN", &token));
    holder.wait_for_event(0, "ready");
    let url = format!("http://kept.localhost:{}/word.txt", dev.http_port());
    let answer = run(curl(&dev).arg(&url));
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "kept");
    let mut command = alone(&dev, &["http", "127.0.0.1:9", "--json"]);
    let agent = Process::start(command.env("ADIT_CREDENTIAL", &credential));
    agent.wait_for_event(0, "ready");
}

/// What a command prints for people, which must be one word.
fn secret(dev: &Dev, args: &[&str], begins: &str) -> String {
    let output = run(dev.command(&["admin"]).args(args));
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let secret = text.strip_suffix('\n').unwrap();
    assert!(secret.starts_with(begins), "{secret}");
    assert!(!secret.contains(char::is_whitespace), "{secret}");
    secret.to_owned()
}

/// A command that knows of no provider.
fn nowhere(dev: &Dev) -> Command {
    let mut command = tests::adit();
    command
        .env("XDG_CONFIG_HOME", dev.data_dir().join("none"))
        .env("XDG_STATE_HOME", dev.data_dir().join("agent"));
    command
}

/// A command that knows where the provider is, and has no credential for it.
fn alone(dev: &Dev, args: &[&str]) -> Command {
    let mut command = nowhere(dev);
    command.args(args);
    let server = dev.provider["server"].as_str().unwrap();
    command.args(["--server", server, "--ca", &dev.ca()]);
    command
}

/// Keeps a key where [`as_logged_in`] finds it.
fn login(dev: &Dev, key: &str) -> Output {
    let file = dev.data_dir().join("key.txt");
    fs::write(&file, key).unwrap();
    let mut command = tests::adit();
    command.args(["login", dev.provider["server"].as_str().unwrap()]);
    command.stdin(fs::File::open(&file).unwrap());
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
