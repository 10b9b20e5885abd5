//! `adit serve`: a provider on one machine, as its operator and its users meet it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use tests::{Authority, Configured, Process, User, adit, free_port, http_files, program, run};

struct Site {
    dir: TempDir,
    authority: Authority,
    https: u16,
}

impl Site {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let authority = Authority::new(dir.path());
        Self {
            authority,
            https: free_port(),
            dir,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn issue(&self) -> String {
        let (certificate, key) = (self.path("site.pem"), self.path("site.key"));
        self.authority.issue(&certificate, &key, &["*.t.localhost"])
    }

    fn configure(&self) -> PathBuf {
        let (dir, https) = (self.dir.path().display(), self.https);
        let text = format!(
            "zone = \"t.localhost\"\n\
             data_dir = \"{dir}/data\"\n\
             [control-plane]\nlisten = \"127.0.0.1:0\"\ntcp_ports = \"none\"\n\
             [edge]\nhttps = \"127.0.0.1:{https}\"\nhttp = \"127.0.0.1:0\"\n\
             [[certificates]]\ncertificate = \"{dir}/site.pem\"\nkey = \"{dir}/site.key\"\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n"
        );
        let file = self.path("adit.toml");
        std::fs::write(&file, text).unwrap();
        file
    }

    fn server(&self) -> String {
        format!("https://adit.t.localhost:{}", self.https)
    }

    /// The serial number of the certificate that is shown for a name.
    fn shown(&self, name: &str) -> String {
        let at = format!("127.0.0.1:{}", self.https);
        let client =
            run(program("openssl").args(["s_client", "-connect", &at, "-servername", name]));
        let mut reader = Process::start(program("openssl").args(["x509", "-noout", "-serial"]));
        reader.write_stdin(&client.stdout);
        reader.close_stdin();
        let (_, serial) = reader.wait_for_line(0, "serial", |line| {
            line.starts_with("serial=").then(|| format!("{line}\n"))
        });
        assert!(reader.wait().success());
        serial
    }
}

fn stop(mut provider: Configured) {
    assert_eq!(provider.process.terminate().code(), Some(0));
}

#[test]
fn a_provider_is_logged_in_to_shared_through_and_visited() {
    let site = Site::new();
    site.issue();
    let provider = Configured::start("serve", &site.configure());
    assert_eq!(provider.ready(), 200);
    let credential = PathBuf::from(provider.started["credential"].as_str().unwrap());
    let user = User::new(&site.authority.root());
    user.login(&site.server(), &credential);
    let origin = http_files(|_, stream| {
        use std::io::Write;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello");
    });
    let (_share, ready) = user.share(&["http", &origin.port(), "--host", "shop"]);
    let url = format!("https://shop.t.localhost:{}", site.https);
    assert_eq!(ready["urls"][0], url.as_str());
    assert_eq!(user.visit(&url), "hello");
    let listed = user.output(&["admin", "endpoint", "list", "--json"]);
    assert!(listed.contains("shop.t.localhost"), "{listed}");
    let keys = user.visit(&format!("{}/.well-known/jwks.json", site.server()));
    assert!(keys.contains("\"kid\""), "{keys}");
    stop(provider);
}

#[test]
fn a_certificate_that_is_replaced_is_shown_without_a_restart() {
    let site = Site::new();
    let first = site.issue();
    let provider = Configured::start("serve", &site.configure());
    assert_eq!(site.shown("adit.t.localhost"), first);
    assert_eq!(site.shown("edge.t.localhost"), first);
    let second = site.issue();
    provider
        .process
        .wait_for_stderr("certificates were read again");
    assert_eq!(site.shown("adit.t.localhost"), second);
    assert_eq!(site.shown("edge.t.localhost"), second);
    stop(provider);
}

#[test]
fn the_administrator_s_key_is_made_once() {
    let site = Site::new();
    site.issue();
    let file = site.configure();
    let provider = Configured::start("serve", &file);
    let path = PathBuf::from(provider.started["credential"].as_str().unwrap());
    assert_eq!(mode(&path), 0o600);
    let key = std::fs::read_to_string(&path).unwrap();
    stop(provider);
    let provider = Configured::start("serve", &file);
    assert_eq!(provider.started["credential"], Value::Null);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), key);
    stop(provider);
    // Whoever keeps it elsewhere is not given another one.
    std::fs::remove_file(&path).unwrap();
    let provider = Configured::start("serve", &file);
    assert!(!path.exists());
    stop(provider);
}

#[test]
fn a_zone_is_enough_and_the_first_lines_say_what_is_missing() {
    let data = TempDir::new().unwrap();
    let https = format!("127.0.0.1:{}", free_port());
    let mut command = adit();
    command.args([
        "serve",
        "--zone",
        "t.localhost",
        "--tcp-ports",
        "none",
        "--https-addr",
        &https,
    ]);
    for flag in ["--http-addr", "--control-addr", "--admin-addr"] {
        command.args([flag, "127.0.0.1:0"]);
    }
    let mut process = Process::start(command.arg("--data-dir").arg(data.path()));
    process.wait_for_line(0, "that it is up", |line| {
        line.contains("is up").then_some(())
    });
    let said = process.stdout().join("\n");
    for part in [
        "browsers will not trust",
        "--certificate",
        "admin-credential.json",
        "*.t.localhost.",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(process.terminate().code(), Some(0));
}

#[test]
fn a_port_that_is_taken_names_its_holder() {
    let site = Site::new();
    site.issue();
    let holder = std::net::TcpListener::bind(("127.0.0.1", site.https)).unwrap();
    let output = run(adit().args(["serve", "-c"]).arg(site.configure()));
    drop(holder);
    assert_eq!(output.status.code(), Some(7));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains(&format!("process {}", std::process::id())),
        "{said}"
    );
}

#[test]
fn everything_that_is_wrong_with_a_file_is_said_at_once() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("adit.toml");
    let text = "zone = \"t.example\"\n[edge]\nhttp = \"nowhere\"\nnmaes = []\n\
                [[certificates]]\ncertificate = \"/nowhere.pem\"\nkey = \"/nowhere.key\"\n";
    std::fs::write(&file, text).unwrap();
    let output = run(adit().args(["config", "check"]).arg(&file));
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    let at = |place: &str| format!("{}:{place}", file.display());
    for part in [
        at("3:8: edge.http"),
        at("4:1: edge.nmaes"),
        "did you mean names?".into(),
        at("5:1: certificates[0]"),
    ] {
        assert!(said.contains(&part), "{part}: {said}");
    }
    let output = run(adit().args(["config", "check", "--json"]).arg(&file));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), &answer["ok"]),
        (Some(2), &Value::Bool(false))
    );
    assert_eq!(answer["problems"][0]["line"], 3);
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
