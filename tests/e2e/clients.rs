//! The agents under `clients/`, as somebody who copied them runs them.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    process::Command,
    time::Instant,
};

use tests::{
    Dev, Origin, Process, WAIT, echo, free_port, http_files, program, python, root_of_repository,
    run,
};

use crate::http::curl;

/// `clients/python/agent.py` with a token for `name`.
fn python_agent(dev: &Dev, name: &str, origin: &Origin) -> Process {
    let token = issue(dev, name);
    let edge = format!("https://edge.localhost:{}", dev.https_port());
    let mut command = program("python3");
    command
        .arg(root_of_repository().join("clients/python/agent.py"))
        .args([&edge, &format!("127.0.0.1:{}", origin.port())])
        .env("ADIT_TOKEN", token)
        .env("ADIT_CA", dev.ca());
    Process::start(&mut command)
}

fn issue(dev: &Dev, name: &str) -> String {
    let issued = dev.admin(&["token", "issue", "--endpoint", name]);
    issued["token"].as_str().unwrap().to_owned()
}

/// Waits until somebody serves `name`.
fn placed(dev: &Dev, name: &str) {
    dev.admin_until(&["endpoint", "list"], |all| {
        let all = all.as_array().unwrap();
        all.iter().any(|endpoint| {
            endpoint["name"] == name && !endpoint["placements"].as_array().unwrap().is_empty()
        })
    });
}

fn output(command: &mut Command) -> String {
    let output = run(command);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn curl_visits_the_python_agent() {
    let dev = Dev::start(&[]);
    dev.admin(&["endpoint", "claim", "snake"]);
    let origin = http_files(|head, stream| {
        let size: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |size| size.parse().unwrap());
        let mut body = vec![0; size];
        stream.read_exact(&mut body).unwrap();
        let path = head.split(' ').nth(1).unwrap();
        let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{path} {size}\n");
        let _ = stream.write_all(answer.as_bytes());
        let _ = stream.write_all(&body);
    });
    let _agent = python_agent(&dev, "snake.localhost", &origin);
    placed(&dev, "snake.localhost");
    let url = format!("https://snake.localhost:{}", dev.https_port());
    for version in ["--http1.1", "--http2"] {
        for path in ["/one", "/two"] {
            let page = output(curl(&dev).args([version, &format!("{url}{path}")]));
            assert_eq!(page, format!("{path} 0\n"));
        }
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "x".repeat(3_000_000)).unwrap();
    let data = format!("@{}", file.path().display());
    let page = output(curl(&dev).args(["--data-binary", &data, &url]));
    assert!(page.starts_with("/ 3000000\nxxx"), "{}", &page[..40]);
    assert_eq!(page.len(), "/ 3000000\n".len() + 3_000_000);
    // Several at a time, each on a connection of its own.
    let all = format!("{url}/[1-20]");
    let pages = output(curl(&dev).args(["--parallel", "--no-progress-meter", &all]));
    assert_eq!(pages.lines().count(), 20, "{pages}");
}

#[test]
fn a_port_of_the_python_agent_keeps_half_closed_connections() {
    let port = free_port();
    let dev = Dev::start(&["--tcp-ports", &format!("{port}-{port}")]);
    let claimed = dev.admin(&["endpoint", "claim", "--port", &port.to_string()]);
    let name = claimed["name"].as_str().unwrap().to_owned();
    let _agent = python_agent(&dev, &name, &echo());
    placed(&dev, &name);
    let mut visitor = visit(port);
    let sent: Vec<u8> = (0..2_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut writer = visitor.try_clone().unwrap();
    let writing = {
        let sent = sent.clone();
        std::thread::spawn(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        })
    };
    let mut back = Vec::new();
    visitor.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert!(back == sent, "{} bytes came back", back.len());
}

/// The port is open a moment after its placement.
fn visit(port: u16) -> TcpStream {
    let deadline = Instant::now() + WAIT;
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

#[test]
fn the_python_agent_tells_what_goes_wrong() {
    let dev = Dev::start(&[]);
    dev.admin(&["endpoint", "claim", "snake"]);
    let origin = http_files(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
    });
    let _agent = python_agent(&dev, "snake.localhost", &origin);
    placed(&dev, "snake.localhost");
    let url = format!("https://snake.localhost:{}", dev.https_port());
    // A body that breaks off breaks off at the visitor too.
    assert_eq!(
        run(curl(&dev).args(["--http1.1", &url])).status.code(),
        Some(18)
    );
    dev.admin(&["endpoint", "claim", "closed"]);
    let mut command = program("python3");
    command
        .arg(root_of_repository().join("clients/python/agent.py"))
        .args([
            &format!("https://edge.localhost:{}", dev.https_port()),
            "127.0.0.1:9",
        ])
        .env("ADIT_TOKEN", issue(&dev, "closed.localhost"))
        .env("ADIT_CA", dev.ca());
    let _second = Process::start(&mut command);
    placed(&dev, "closed.localhost");
    let url = format!("https://closed.localhost:{}", dev.https_port());
    let status = output(curl(&dev).args(["-o", "/dev/null", "-w", "%{http_code}", &url]));
    assert_eq!(status, "502");
    command.env("ADIT_TOKEN", "nonsense");
    assert_eq!(Process::start(&mut command).wait().code(), Some(1));
}

#[test]
fn a_stock_websocket_library_carries_an_agent() {
    let dev = Dev::start(&[]);
    dev.admin(&["endpoint", "claim", "snake"]);
    let mut command = python("ws_agent.py");
    command
        .args([dev.provider["edge"].as_str().unwrap(), &dev.ca()])
        .env("ADIT_TOKEN", issue(&dev, "snake.localhost"));
    let agent = Process::start(&mut command);
    agent.wait_for_line(0, "welcome", |line| (line == "welcome").then_some(()));
    for _ in 0..20 {
        let url = format!("https://snake.localhost:{}/", dev.https_port());
        assert_eq!(output(curl(&dev).arg(&url)), "from a snake\n");
    }
}
