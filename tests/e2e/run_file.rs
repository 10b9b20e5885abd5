//! `adit run`: a file of tunnels, and what becomes of them when it changes.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tests::{Dev, Origin, Process, echo, http_files, run};

use crate::http::curl;

/// An HTTP server that says `word` to everyone.
fn says(word: &'static str) -> Origin {
    http_files(move |_, stream| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            word.len()
        );
        let _ = stream.write_all(format!("{head}{word}").as_bytes());
    })
}

fn http_tunnel(name: &str, host: &str, port: &str) -> String {
    format!("[tunnels.{name}]\nkind = \"http\"\nhost = \"{host}\"\ntarget = \"{port}\"\n")
}

fn tcp_tunnel(name: &str, port: &str) -> String {
    format!("[tunnels.{name}]\nkind = \"tcp\"\ntarget = \"{port}\"\n")
}

/// As a careful editor does: the new file takes the old one's place whole.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

fn start(dev: &Dev, file: &Path) -> Process {
    let mut command = dev.command(&["run", "--json", "-c", file.to_str().unwrap()]);
    Process::start(&mut command)
}

/// The next event of this kind about this tunnel, and the line behind it.
fn event_of(process: &Process, from: usize, event: &str, tunnel: &str) -> (usize, Value) {
    let what = format!("{event} of {tunnel}");
    let (at, value) = process.wait_for_line(from, &what, |line| {
        let value: Value = serde_json::from_str(line).ok()?;
        (value["event"] == event && value["tunnel"] == tunnel).then_some(value)
    });
    (at + 1, value)
}

fn events(process: &Process, from: usize, event: &str) -> Vec<Value> {
    let lines = process.stdout();
    let values = lines[from..]
        .iter()
        .map(|line| serde_json::from_str(line).unwrap());
    values
        .filter(|value: &Value| value["event"] == event)
        .collect()
}

/// What a visitor of an http endpoint of this provider sees: status and body.
fn visit(dev: &Dev, host: &str) -> String {
    let url = format!("http://{host}.localhost:{}/", dev.http_port());
    let output = run(curl(dev).args(["-w", " %{http_code}", &url]));
    String::from_utf8(output.stdout).unwrap()
}

fn connect(ready: &Value) -> TcpStream {
    let url = ready["urls"][0].as_str().unwrap();
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(tests::WAIT)).unwrap();
    stream
}

fn echoes(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, text.as_bytes());
}

struct Bed {
    dev: Dev,
    process: Process,
    file: PathBuf,
    _dir: tempfile::TempDir,
}

/// Starts with this file and waits for these tunnels.
fn bed(text: &str, tunnels: &[&str]) -> (Bed, Vec<Value>) {
    let dev = Dev::start(&[]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("adit.toml");
    fs::write(&file, text).unwrap();
    let process = start(&dev, &file);
    let ready = tunnels
        .iter()
        .map(|name| event_of(&process, 0, "ready", name).1);
    let ready = ready.collect();
    let bed = Bed {
        dev,
        process,
        file,
        _dir: dir,
    };
    (bed, ready)
}

#[test]
fn a_changed_tunnel_leaves_the_others_alone() {
    let (shop, api, database) = (says("shop"), says("api"), echo());
    let text = |host: &str| {
        http_tunnel("web", host, &shop.port())
            + &http_tunnel("api", "api", &api.port())
            + &tcp_tunnel("database", &database.port())
    };
    let (mut bed, ready) = bed(&text("shop"), &["web", "api", "database"]);
    let session = &ready[0]["session"];
    assert!(
        ready.iter().all(|ready| ready["session"] == *session),
        "{ready:#?}"
    );
    assert_eq!(visit(&bed.dev, "shop"), "shop 200");
    assert_eq!(visit(&bed.dev, "api"), "api 200");
    let mut open = connect(&ready[2]);
    echoes(&mut open, "before");

    let from = bed.process.stdout().len();
    replace(&bed.file, &text("store"));
    let (_, moved) = event_of(&bed.process, from, "ready", "web");
    assert_eq!(moved["name"], "store.localhost");
    assert_eq!(visit(&bed.dev, "store"), "shop 200");
    // The session of all three is the same one, nothing was said of the others, and what was open is open.
    assert_eq!(moved["session"], *session);
    assert_eq!(events(&bed.process, from, "ready").len(), 1);
    assert!(events(&bed.process, from, "disconnected").is_empty());
    echoes(&mut open, "after");
    assert_eq!(visit(&bed.dev, "api"), "api 200");

    // A tunnel that is not in the file any more is gone, and its name with it.
    let from = bed.process.stdout().len();
    replace(&bed.file, &tcp_tunnel("database", &database.port()));
    event_of(&bed.process, from, "stopped", "web");
    event_of(&bed.process, from, "stopped", "api");
    for host in ["store", "api"] {
        assert!(visit(&bed.dev, host).ends_with(" 503"), "{host}");
    }
    echoes(&mut open, "to the end");
    drop(open);
    assert!(bed.process.terminate().success());
}

#[test]
fn another_origin_takes_the_next_visit_and_the_bind_stays() {
    let (old, new) = (says("old"), says("new"));
    let (bed, ready) = bed(&http_tunnel("web", "swap", &old.port()), &["web"]);
    assert_eq!(visit(&bed.dev, "swap"), "old 200");
    let from = bed.process.stdout().len();
    replace(&bed.file, &http_tunnel("web", "swap", &new.port()));
    let (_, swapped) = event_of(&bed.process, from, "ready", "web");
    assert_eq!(swapped["session"], ready[0]["session"]);
    assert_eq!(visit(&bed.dev, "swap"), "new 200");

    // The same name with another Host for its origin is another bind.
    let from = bed.process.stdout().len();
    let with_header = http_tunnel("web", "swap", &new.port()) + "host_header = \"origin\"\n";
    replace(&bed.file, &with_header);
    event_of(&bed.process, from, "ready", "web");
    assert_eq!(visit(&bed.dev, "swap"), "new 200");
    bed.dev.admin_until(&["endpoint", "show", "swap"], |shown| {
        shown["placements"].as_array().unwrap().len() == 1
    });
}

#[test]
fn a_broken_file_changes_nothing_and_says_where_it_is_wrong() {
    let origin = says("fine");
    let good = http_tunnel("web", "sturdy", &origin.port());
    let (bed, _) = bed(&good, &["web"]);
    let from = bed.process.stdout().len();
    replace(&bed.file, &good.replace("target", "tarhget"));
    let (_, config) = bed.process.wait_for_event(from, "config");
    let error = config["error"].as_str().unwrap();
    assert!(
        error.contains("adit.toml:4:1: tarhget: there is no such key"),
        "{error}"
    );
    assert_eq!(visit(&bed.dev, "sturdy"), "fine 200");

    // SIGHUP reads at once; the same file means that nothing has changed.
    replace(&bed.file, &good);
    let from = bed.process.stdout().len();
    bed.process.signal("HUP");
    let (_, config) = bed.process.wait_for_event(from, "config");
    assert_eq!(config["error"], Value::Null);
    assert!(
        ["added", "changed", "removed"]
            .iter()
            .all(|list| config[list] == serde_json::json!([]))
    );
    assert!(events(&bed.process, from, "ready").is_empty());
}

#[test]
fn a_symlink_that_is_turned_is_a_change() {
    // As kubernetes updates a ConfigMap: the file is a link through `..data`, which is turned to another directory.
    let (one, two) = (says("one"), says("two"));
    let dev = Dev::start(&[]);
    let dir = tempfile::tempdir().unwrap();
    for (version, origin) in [("v1", &one), ("v2", &two)] {
        let version = dir.path().join(version);
        fs::create_dir(&version).unwrap();
        let text = http_tunnel("web", "mapped", &origin.port());
        fs::write(version.join("adit.toml"), text).unwrap();
    }
    let turn = |to: &str| {
        let new = dir.path().join("..data_tmp");
        std::os::unix::fs::symlink(to, &new).unwrap();
        fs::rename(new, dir.path().join("..data")).unwrap();
    };
    turn("v1");
    let file = dir.path().join("adit.toml");
    std::os::unix::fs::symlink("..data/adit.toml", &file).unwrap();
    let process = start(&dev, &file);
    event_of(&process, 0, "ready", "web");
    assert_eq!(visit(&dev, "mapped"), "one 200");
    let from = process.stdout().len();
    turn("v2");
    event_of(&process, from, "ready", "web");
    assert_eq!(visit(&dev, "mapped"), "two 200");
}

#[test]
fn a_name_in_other_hands_is_waited_for_and_the_rest_serves() {
    let origin = says("here");
    let dev = Dev::start(&[]);
    let mut holder = dev.share(&["http", &origin.port(), "--host", "held"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("adit.toml");
    let text =
        http_tunnel("held", "held", &origin.port()) + &http_tunnel("free", "free", &origin.port());
    fs::write(&file, text).unwrap();
    let process = start(&dev, &file);
    event_of(&process, 0, "ready", "free");
    let (from, refused) = event_of(&process, 0, "refused", "held");
    assert_eq!(refused["name"], "in-use", "{refused}");
    assert!(refused["retry_ms"].is_u64(), "{refused}");
    assert_eq!(visit(&dev, "free"), "here 200");
    assert!(holder.process.terminate().success());
    event_of(&process, from, "ready", "held");
    assert_eq!(visit(&dev, "held"), "here 200");
}

#[test]
fn what_can_never_work_ends_with_its_own_code() {
    let dev = Dev::start(&[]);
    let dir = tempfile::tempdir().unwrap();
    let code_of = |text: &str| {
        let file = dir.path().join("adit.toml");
        fs::write(&file, text).unwrap();
        start(&dev, &file).wait().code()
    };
    assert_eq!(code_of("[tunnels.a]\nkind = \"http\"\n"), Some(2));
    let server = dev.provider["server"].as_str().unwrap();
    let credentials = format!("{{\"server\": \"{server}\", \"api_key\": \"adit_key_x_y\"}}");
    fs::write(dir.path().join("bad.json"), credentials).unwrap();
    let text = "credential_file = \"bad.json\"\n".to_owned() + &http_tunnel("a", "any", "1");
    assert_eq!(code_of(&text), Some(4));
}

#[test]
fn a_file_can_be_checked_before_it_is_used() {
    let example = run(tests::adit().args(["run", "--example"]));
    assert!(example.status.success());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("adit.toml");
    fs::write(&file, &example.stdout).unwrap();
    let check = || run(tests::adit().args(["run", "--check", "-c", file.to_str().unwrap()]));
    let said = check();
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let text = String::from_utf8(example.stdout).unwrap();
    fs::write(&file, text.replace("kind = \"tls\"", "kind = \"tlss\"")).unwrap();
    let said = check();
    assert_eq!(said.status.code(), Some(2));
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(error.contains("did you mean tls?"), "{error}");
    // The command for every kind of file sees by itself which one this is.
    let other = run(tests::adit().args(["config", "check", file.to_str().unwrap()]));
    assert_eq!((other.status, other.stderr), (said.status, said.stderr));
    let other = run(tests::adit().args(["config", "example", "run"]));
    assert_eq!(other.stdout, text.into_bytes());
}
