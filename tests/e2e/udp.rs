//! Datagrams through a port of the edge.

use std::{
    collections::BTreeSet,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use tests::{Dev, Namespaces, Process, Share, WAIT, free_port, program};

use crate::TRANSPORTS;

/// A server that answers each datagram with itself, and remembers who it talked to. It ends with its socket's process.
struct Echo {
    port: String,
    peers: Arc<Mutex<BTreeSet<SocketAddr>>>,
}

impl Echo {
    fn start(address: &str) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        let port = socket.local_addr().unwrap().port().to_string();
        let peers = Arc::new(Mutex::new(BTreeSet::new()));
        let known = peers.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                known.lock().unwrap().insert(from);
                let _ = socket.send_to(&buffer[..length], from);
            }
        });
        Self { port, peers }
    }

    fn new() -> Self {
        Self::start("127.0.0.1:0")
    }
}

fn visitor(from: &str, share: &Share) -> UdpSocket {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.connect(crate::ports::address(share)).unwrap();
    socket
}

/// Sends until it comes back: UDP may lose it, and this machine is busy.
fn ask(visitor: &UdpSocket, question: &[u8]) {
    visitor
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let deadline = Instant::now() + WAIT;
    let mut answer = vec![0; 65_536];
    loop {
        visitor.send(question).unwrap();
        match visitor.recv(&mut answer) {
            Ok(length) if answer[..length] == *question => return,
            // An answer to what was asked before.
            Ok(_) => {}
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                "{error}"
            ),
        }
        assert!(
            Instant::now() < deadline,
            "no answer to {} bytes",
            question.len()
        );
    }
}

#[test]
fn datagrams_of_every_size_cross_whole_over_each_transport() {
    let echo = Echo::new();
    for transport in TRANSPORTS {
        let dev = Dev::start(&[]);
        let share = dev.share(&["udp", &echo.port, "--transport", transport]);
        assert!(share.url().starts_with("udp://"), "{}", share.url());
        let visitor = visitor("127.0.0.1", &share);
        for size in [0, 1, 512, 1200, 1472, 9000, 65_507] {
            let question: Vec<u8> = (0..size).map(|n| (n * 7 % 251) as u8).collect();
            ask(&visitor, &question);
        }
        let metrics = dev.metrics();
        for direction in ["up", "down"] {
            let [frames, streams] =
                ["datagram", "stream"].map(|path| carried(&metrics, direction, path));
            assert_eq!(frames > 0, transport == "quic", "{transport}: {metrics}");
            assert!(streams > 0, "what is too long for a frame: {metrics}");
        }
    }
}

/// Of an edge's metrics: how many datagrams went so.
fn carried(metrics: &str, direction: &str, path: &str) -> u64 {
    let name = format!("adit_edge_datagrams_total{{direction=\"{direction}\",path=\"{path}\"}} ");
    figure(metrics, &name)
}

/// No packet may be longer than 1280 bytes: between visitor, edge, agent and server.
#[test]
fn on_a_narrow_path_datagrams_cross_whole_and_the_session_stays() {
    let hosts = Namespaces::new(1);
    hosts.narrow_loopback(0, 1280);
    let script = |words: &[&str]| {
        let mut command = tests::python("datagrams.py");
        hosts.inside(0, command.args(words))
    };
    let echo = Process::start(&mut script(&["echo"]));
    let (_, port) = echo.wait_for_line(0, "its port", |line| Some(line.to_owned()));
    let dev = Dev::start_with(&[], |command| *command = hosts.inside(0, command));
    let words = ["udp", &port, "--transport", "quic", "--json"];
    let share = Process::start(&mut hosts.inside(0, &dev.command(&words)));
    let (at, ready) = share.wait_for_event(0, "ready");
    let public = Share {
        process: share,
        ready,
    };
    let address = crate::ports::address(&public);
    let public_port = address.rsplit(':').next().unwrap();
    let sizes = [
        "0", "512", "1100", "1200", "1240", "1280", "1472", "9000", "60000", "512",
    ];
    let mut words = vec!["ask", public_port];
    words.extend(sizes);
    let asked = tests::run(&mut script(&words));
    assert!(asked.status.success(), "{asked:?}");
    let came: Vec<_> = std::str::from_utf8(&asked.stdout)
        .unwrap()
        .lines()
        .collect();
    assert_eq!(came, sizes);

    let url = format!("{}/metrics", dev.provider["admin"].as_str().unwrap());
    let metrics = tests::run(&mut hosts.inside(0, program("curl").args(["-sS", "--fail", &url])));
    let metrics = String::from_utf8(metrics.stdout).unwrap();
    for direction in ["up", "down"] {
        assert!(carried(&metrics, direction, "datagram") >= 3, "{metrics}");
        assert!(carried(&metrics, direction, "stream") >= 4, "{metrics}");
    }
    let later = &public.process.stdout()[at + 1..];
    assert!(
        !later.iter().any(|line| line.contains("\"ready\"")),
        "{later:?}"
    );
}

#[test]
fn each_visitor_has_a_flow_of_his_own() {
    let echo = Echo::new();
    let dev = Dev::start(&[]);
    let share = dev.share(&["udp", &echo.port]);
    let visitors: Vec<_> = (0..40).map(|_| visitor("127.0.0.1", &share)).collect();
    for _ in 0..2 {
        for (n, visitor) in visitors.iter().enumerate() {
            ask(visitor, format!("visitor {n}").as_bytes());
        }
    }
    assert_eq!(echo.peers.lock().unwrap().len(), visitors.len());
    drop(share);
    let metrics = dev.metrics();
    let ended = "adit_edge_connections_total{kind=\"udp\"";
    assert!(metrics.contains(ended), "{metrics}");
}

#[test]
fn a_server_that_comes_later_is_found() {
    let port = free_port();
    let dev = Dev::start(&[]);
    let share = dev.share(&["udp", &port.to_string()]);
    let visitor = visitor("127.0.0.1", &share);
    // Nobody listens: the agent hears so, and the flow ends.
    visitor.send(b"anybody?").unwrap();
    visitor.send(b"nobody?").unwrap();
    let _echo = Echo::start(&format!("127.0.0.1:{port}"));
    ask(&visitor, b"somebody!");
}

/// One packet is enough to begin a flow, and its address may be anybody's.
#[test]
fn a_flood_of_flows_is_bounded_and_others_are_served() {
    let echo = Echo::new();
    let dev = Dev::start(&[]);
    let share = dev.share(&["udp", &echo.port]);
    let flood: Vec<_> = (0..400).map(|_| visitor("127.0.0.1", &share)).collect();
    for visitor in &flood {
        visitor.send(b"me too").unwrap();
    }
    // The address has taken all its places; another one has its own.
    ask(&visitor("127.0.0.2", &share), b"and me");
    let full = "adit_edge_bounds_hit_total{bound=\"flows_of_address\"} ";
    let metrics = dev.metrics();
    assert!(figure(&metrics, full) >= 1, "{metrics}");
    assert!(figure(&metrics, "adit_edge_streams ") <= 257, "{metrics}");
}

/// Thousands of addresses say one thing each, as whoever invents addresses makes it look.
#[test]
fn invented_addresses_take_nothing_from_those_who_talk() {
    let echo = Echo::new();
    let dev = Dev::start(&[]);
    let share = dev.share(&["udp", &echo.port]);
    let talks = visitor("127.0.0.1", &share);
    ask(&talks, b"one");
    ask(&talks, b"two");
    let before = [&dev.process, &share.process].map(Process::memory);
    let public = crate::ports::address(&share);
    let stop = Arc::new(AtomicBool::new(false));
    let flood = {
        let stop = stop.clone();
        thread::spawn(move || {
            let mut sent = 0_u64;
            for n in (0..=u16::MAX).cycle() {
                let [high, low] = n.to_be_bytes();
                let from = UdpSocket::bind((Ipv4Addr::new(127, 2, high, low), 0)).unwrap();
                let _ = from.send_to(b"me", &public);
                sent += 1;
                if sent.is_multiple_of(10) {
                    // What the socket's buffer cannot hold would be lost, whoever sent it.
                    thread::sleep(Duration::from_millis(1));
                }
                if stop.load(Relaxed) {
                    return sent;
                }
            }
            sent
        })
    };
    let full = "adit_edge_bounds_hit_total{bound=\"flows_of_port\"} ";
    let deadline = Instant::now() + WAIT;
    while figure(&dev.metrics(), full) < 1000 {
        assert!(Instant::now() < deadline, "the flood is too small");
        ask(&talks, b"still here");
    }
    ask(&visitor("127.0.0.3", &share), b"somebody new");
    for _ in 0..20 {
        ask(&talks, b"still here");
    }
    stop.store(true, Relaxed);
    assert!(flood.join().unwrap() > 1000);
    assert!(figure(&dev.metrics(), "adit_edge_streams ") <= 1000);
    for (process, before) in [&dev.process, &share.process].into_iter().zip(before) {
        let grown = process.memory().saturating_sub(before) >> 20;
        assert!(grown < 100, "{grown} MiB more");
    }
}

/// The value of a metric, labels and all.
fn figure(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().parse().unwrap()
}

#[test]
fn an_agent_whose_token_is_for_a_udp_port_serves_it_and_no_tcp() {
    let echo = Echo::new();
    let range = tests::free_ports(4);
    let (first, last) = (range.start(), range.end());
    let dev = Dev::start(&["--tcp-ports", &format!("{first}-{last}")]);
    let port = last.to_string();
    let issued = dev.admin(&["token", "issue", "--port", &port, "--kind", "udp"]);
    let token = issued["token"].as_str().unwrap();
    let server = dev.provider["server"].as_str().unwrap();
    let mut command = dev.command(&["udp", &echo.port, "--server", server, "--json"]);
    let process = Process::start(command.env("ADIT_TOKEN", token));
    let (_, ready) = process.wait_for_event(0, "ready");
    let share = Share { process, ready };
    ask(&visitor("127.0.0.1", &share), b"by token");
    let refused = tests::run(
        dev.command(&["tcp", "9", "--server", server])
            .env("ADIT_TOKEN", token),
    );
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
}
