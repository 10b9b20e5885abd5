//! An edge behind haproxy, which says who visits.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tests::{
    Authority, Configured, Origin, Process, User, WAIT, free_port, free_ports, program, python, run,
};

const VERSIONS: [&str; 2] = ["send-proxy", "send-proxy-v2"];
/// haproxy comes from here, and visitors from there.
const BALANCER: &str = "127.0.0.2";
const VISITOR: &str = "127.0.0.3";

struct Site {
    dir: TempDir,
    authority: Authority,
    https: u16,
    http: u16,
    /// The first of the ports for `tcp` endpoints.
    tcp: u16,
}

impl Site {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let authority = Authority::new(dir.path());
        let (certificate, key) = (dir.path().join("site.pem"), dir.path().join("site.key"));
        authority.issue(&certificate, &key, &["*.t.localhost"]);
        Self {
            dir,
            authority,
            https: free_port(),
            http: free_port(),
            tcp: *free_ports(2).start(),
        }
    }

    fn start(&self) -> (Configured, User) {
        let dir = self.dir.path().display();
        let (https, http, first, last) = (self.https, self.http, self.tcp, self.tcp + 1);
        let text = format!(
            "zone = \"t.localhost\"\n\
             data_dir = \"{dir}/data\"\n\
             [control-plane]\nlisten = \"127.0.0.1:0\"\ntcp_ports = \"{first}-{last}\"\n\
             [edge]\nhttps = \"127.0.0.1:{https}\"\nhttp = \"127.0.0.1:{http}\"\nhttp_mode = \"serve\"\n\
             tcp_hosts = \"127.0.0.1\"\nproxy_protocol_from = \"{BALANCER}\"\n\
             [[certificates]]\ncertificate = \"{dir}/site.pem\"\nkey = \"{dir}/site.key\"\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n"
        );
        let file = self.dir.path().join("adit.toml");
        fs::write(&file, text).unwrap();
        let provider = Configured::start("serve", &file);
        let credential = provider.started["credential"].as_str().unwrap().to_owned();
        let user = User::new(&self.authority.root());
        user.login(
            &format!("https://adit.t.localhost:{}", self.https),
            Path::new(&credential),
        );
        (provider, user)
    }
}

/// haproxy in front of the edge's listeners; the port of haproxy for each of them.
fn haproxy(site: &Site, how: &str) -> (Process, [u16; 3]) {
    let listeners = [site.https, site.http, site.tcp];
    let ports = listeners.map(|_| free_port());
    let mut text =
        "defaults\n  mode tcp\n  timeout connect 10s\n  timeout client 60s\n  timeout server 60s\n"
            .to_owned();
    for (at, to) in ports.iter().zip(listeners) {
        text += &format!(
            "listen at{at}\n  bind 127.0.0.1:{at}\n  server edge 127.0.0.1:{to} source {BALANCER} {how}\n"
        );
    }
    let file = site.dir.path().join(how);
    fs::write(&file, text).unwrap();
    let process = Process::start(program("haproxy").arg("-db").arg("-f").arg(&file));
    let deadline = Instant::now() + WAIT;
    for port in ports {
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "{:?}", process.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    (process, ports)
}

/// `url` by another port of this machine, as a visitor or whoever else is at that address.
fn visit(site: &Site, from: &str, url: &str, port: u16, more: &[&str]) -> Output {
    run(program("curl")
        .args(["-sS", "--fail", "--interface", from, "--cacert"])
        .arg(site.authority.root())
        .args(["--connect-to", &format!("::127.0.0.1:{port}"), url])
        .args(more))
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn haproxy_tells_who_visits_by_either_version() {
    let site = Site::new();
    let (provider, user) = site.start();
    let show = Process::start(&mut python("show_headers.py"));
    let (_, port) = show.wait_for_line(0, "its port", |line| Some(line.to_owned()));
    let (_http, _) = user.share(&["http", &port, "--host", "shop"]);
    // Says the line that it got.
    let lines = Origin::start(|mut stream| {
        let mut line = String::new();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let _ = reader.read_line(&mut line);
        let _ = stream.write_all(line.as_bytes());
    });
    let tcp = site.tcp.to_string();
    let words = [
        "tcp",
        &lines.port(),
        "--port",
        &tcp,
        "--proxy-protocol",
        "v1",
    ];
    let (_tcp, _) = user.share(&words);
    for how in VERSIONS {
        let (_haproxy, [https, http, port]) = haproxy(&site, how);
        for (scheme, own, by) in [("https", site.https, https), ("http", site.http, http)] {
            let url = format!("{scheme}://shop.t.localhost:{own}/");
            let headers: serde_json::Value =
                serde_json::from_str(&said(&visit(&site, VISITOR, &url, by, &[]))).unwrap();
            assert_eq!(headers["x-forwarded-for"], VISITOR, "{how}: {headers}");
        }
        let url = format!("telnet://127.0.0.1:{port}");
        let line = said(&visit(&site, VISITOR, &url, port, &[]));
        let words: Vec<&str> = line.trim_end().split(' ').collect();
        assert_eq!(words[..4], ["PROXY", "TCP4", VISITOR, "127.0.0.1"], "{how}");
        assert_eq!(words[5], port.to_string(), "what the visitor connected to");
    }

    // Who is no balancer is not believed, and a balancer says who visits.
    let url = format!("http://shop.t.localhost:{}/", site.http);
    let liar = visit(&site, VISITOR, &url, site.http, &["--haproxy-protocol"]);
    assert!(!liar.status.success(), "{liar:?}");
    let silent = visit(&site, BALANCER, &url, site.http, &[]);
    assert!(!silent.status.success(), "{silent:?}");
    let plain = said(&visit(&site, VISITOR, &url, site.http, &[]));
    assert!(plain.contains(VISITOR), "{plain}");
    let metrics =
        run(program("curl").args(["-sS", &format!("{}/metrics", provider.first("admin"))]));
    let refused = "adit_edge_bounds_hit_total{bound=\"proxy_header\"} 1";
    assert!(String::from_utf8_lossy(&metrics.stdout).contains(refused));
    provider
        .process
        .wait_for_stderr("a connection of a load balancer is refused");
}
