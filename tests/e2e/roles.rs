//! `adit control-plane` and `adit edge`: processes of their own over a real etcd.

use std::{io::Write, path::PathBuf};

use tempfile::TempDir;
use tests::{
    Authority, Configured, EtcdCluster, Origin, Process, User, free_port, http_files, program, run,
    write_secret,
};

struct Site {
    etcd: EtcdCluster,
    dir: TempDir,
    authority: Authority,
    https: u16,
}

impl Site {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let authority = Authority::new(dir.path());
        let names = ["*.t.localhost"];
        authority.issue(
            &dir.path().join("site.pem"),
            &dir.path().join("site.key"),
            &names,
        );
        let key = run(program("openssl").args(["rand", "-base64", "32"]));
        let key = String::from_utf8(key.stdout).unwrap();
        write_secret(&dir.path().join("store.key"), &key);
        Self {
            etcd: EtcdCluster::start(1),
            authority,
            https: free_port(),
            dir,
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.dir.path().join(name);
        let endpoint = &self.etcd.endpoints()[0];
        let dir = self.dir.path().display();
        let common = format!(
            "data_dir = \"{dir}/{name}.data\"\n\
             [store]\nkind = \"etcd\"\nendpoints = \"{endpoint}\"\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n"
        );
        std::fs::write(
            &file,
            text.replace("COMMON", &common)
                .replace("DIR", &dir.to_string()),
        )
        .unwrap();
        file
    }

    fn control_plane(&self, name: &str) -> Configured {
        Configured::start("control-plane", &self.control_plane_file(name))
    }

    fn control_plane_file(&self, name: &str) -> PathBuf {
        let (https, port) = (self.https, free_port());
        let text = format!(
            "zone = \"t.localhost\"\nCOMMON\
             [control-plane]\nlisten = \"127.0.0.1:{port}\"\nurl = \"https://adit.t.localhost:{https}\"\n\
             tcp_ports = \"none\"\nreserved = \"edge.t.localhost\"\nkey_encryption_key_file = \"DIR/store.key\"\n"
        );
        self.file(name, &text)
    }

    fn edge(&self, control: &Configured) -> PathBuf {
        let (https, control) = (self.https, control.first("control"));
        let text = format!(
            "COMMON[edge]\nid = \"e1\"\nnames = \"edge.t.localhost\"\nhttps = \"127.0.0.1:{https}\"\nhttp = []\n\
             control_plane = \"http://{control}\"\nrole_key_file = \"DIR/role-key\"\ndrain = \"2s\"\n\
             [[certificates]]\ncertificate = \"DIR/site.pem\"\nkey = \"DIR/site.key\"\n"
        );
        self.file("edge.toml", &text)
    }

    /// The administrator, once a control plane has written his key down.
    fn administrator(&self, control: &Configured, name: &str) -> User {
        control
            .process
            .wait_for_stderr("administrator's key was written");
        let user = User::new(&self.authority.root());
        let credential = self
            .dir
            .path()
            .join(format!("{name}.data/admin-credential.json"));
        user.login(&format!("http://{}", control.first("control")), &credential);
        user
    }

    /// Claims `shop` and shares an origin under it that says hello.
    fn shop(&self, user: &User) -> (Origin, Process) {
        let origin = http_files(|_, stream| {
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
            );
        });
        user.output(&["admin", "endpoint", "claim", "shop"]);
        let token = user.output(&["admin", "token", "issue", "--endpoint", "shop.t.localhost"]);
        let token_file = self.dir.path().join("token");
        write_secret(&token_file, &token);
        let token_file = token_file.display().to_string();
        let (share, _) = user.share(&["http", &origin.port(), "--token-file", &token_file]);
        (origin, share)
    }

    fn role_key(&self, user: &User) {
        let key = user.output(&["admin", "api-key", "create", "--role", "edge"]);
        write_secret(&self.dir.path().join("role-key"), &key);
    }
}

#[test]
fn control_planes_agree_on_their_keys_and_their_administrator() {
    let site = Site::new();
    let one = site.control_plane("one");
    let user = site.administrator(&one, "one");
    let other = site.control_plane("other");
    assert_eq!(other.ready(), 200);
    let keys = |control: &Configured| {
        user.visit(&format!(
            "http://{}/.well-known/jwks.json",
            control.first("control")
        ))
    };
    assert_eq!(keys(&one), keys(&other));
    assert!(
        !site
            .dir
            .path()
            .join("other.data/admin-credential.json")
            .exists()
    );
    // A key that one makes is shown by the other as soon as it sees it.
    let before = keys(&other);
    user.output(&["admin", "key", "rotate"]);
    let made = keys(&one);
    assert_ne!(made, before);
    let deadline = std::time::Instant::now() + tests::WAIT;
    while keys(&other) != made {
        assert!(
            std::time::Instant::now() < deadline,
            "the other control plane keeps its old keys"
        );
    }
}

#[test]
fn an_edge_serves_from_its_snapshot_while_etcd_is_away_and_catches_up() {
    let mut site = Site::new();
    let control = site.control_plane("one");
    let user = site.administrator(&control, "one");
    site.role_key(&user);
    let file = site.edge(&control);
    let mut edge = Configured::start("edge", &file);
    assert_eq!(edge.ready(), 200);

    let (_origin, mut share) = site.shop(&user);
    let url = format!("https://shop.t.localhost:{}", site.https);
    assert_eq!(user.visit(&url), "hello");

    site.etcd.node(0).kill();
    assert_eq!(edge.process.terminate().code(), Some(0));
    let seen = share.stdout().len();
    let edge = Configured::start("edge", &file);
    assert_eq!(edge.ready(), 200, "{:?}", edge.process.stderr());
    share.wait_for_event(seen, "ready");
    assert_eq!(user.visit(&url), "hello");

    // What is taken away while nobody could tell is taken away when somebody can.
    site.etcd.node(0).begin();
    user.output(&["admin", "endpoint", "release", "shop.t.localhost"]);
    assert!(!share.wait().success());
}

/// etcd is lost with its disk; a backup and the key-encryption key bring the provider back in a new one.
#[test]
fn a_lost_etcd_is_restored_and_an_old_token_serves_its_name() {
    let mut site = Site::new();
    let mut lost = site.control_plane("one");
    let user = site.administrator(&lost, "one");
    site.role_key(&user);
    let token = user.output(&["admin", "token", "issue", "--host", "shop"]);
    let token_file = site.dir.path().join("token");
    write_secret(&token_file, &token);
    let backup = site.dir.path().join("provider.backup");
    let backup = backup.to_str().unwrap();
    user.output(&["admin", "backup", backup]);
    assert_eq!(lost.process.terminate().code(), Some(0));
    site.etcd = EtcdCluster::start(1);

    let file = site.control_plane_file("one");
    let restore = || {
        let mut command = user.command(&["admin", "restore", backup, "--config"]);
        run(command.arg(&file))
    };
    let restored = restore();
    assert!(restored.status.success(), "{restored:?}");
    assert_eq!(restore().status.code(), Some(5), "it is not empty now");

    let control = Configured::start("control-plane", &file);
    let edge = Configured::start("edge", &site.edge(&control));
    assert_eq!(edge.ready(), 200, "{:?}", edge.process.stderr());
    let origin = http_files(|_, stream| {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nkept");
    });
    let server = format!("http://{}", control.first("control"));
    let root = site.authority.root();
    let (_share, _) = user.share(&[
        "http",
        &origin.port(),
        "--token-file",
        token_file.to_str().unwrap(),
        "--server",
        &server,
        "--ca",
        root.to_str().unwrap(),
    ]);
    let url = format!("https://shop.t.localhost:{}", site.https);
    assert_eq!(user.visit(&url), "kept");
}

/// A token that was handed over names no edge, and there may be none yet.
#[test]
fn an_agent_with_a_token_finds_the_edge_that_comes_later() {
    let site = Site::new();
    let control = site.control_plane("one");
    let user = site.administrator(&control, "one");
    site.role_key(&user);
    let token = user.output(&["admin", "token", "issue", "--host", "shop"]);
    let file = site.dir.path().join("token");
    write_secret(&file, &token);
    let file = file.to_str().unwrap();
    let args = ["http", "127.0.0.1:9", "--token-file", file, "--json"];
    let agent = Process::start(&mut user.command(&args));
    agent.wait_for_event(0, "disconnected");
    let _edge = Configured::start("edge", &site.edge(&control));
    agent.wait_for_event(0, "ready");
}

#[test]
fn an_edge_in_a_process_of_its_own_reports_what_it_carried() {
    let site = Site::new();
    let control = site.control_plane("one");
    let user = site.administrator(&control, "one");
    site.role_key(&user);
    let mut edge = Configured::start("edge", &site.edge(&control));
    assert_eq!(edge.ready(), 200);
    let (_origin, _share) = site.shop(&user);
    let url = format!("https://shop.t.localhost:{}", site.https);
    for _ in 0..3 {
        assert_eq!(user.visit(&url), "hello");
    }
    // An edge that stops reports first.
    assert_eq!(edge.process.terminate().code(), Some(0));
    let usage = user.output(&["admin", "usage", "--by", "total", "--json"]);
    let usage: serde_json::Value = serde_json::from_str(&usage).unwrap();
    assert_eq!(
        (&usage[0]["name"], &usage[0]["visits"]),
        (&"shop.t.localhost".into(), &3.into()),
        "{usage}"
    );
}
