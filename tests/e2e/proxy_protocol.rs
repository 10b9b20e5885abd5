//! Origins that want to know who visits: nginx, and a server that speaks UDP.

use std::{fs, net::UdpSocket, thread};

use tempfile::TempDir;
use tests::{Dev, Process, free_port, program, run};

/// nginx that answers with the visitor's address and the port that he came by.
fn nginx(dir: &TempDir) -> (Process, u16) {
    let (place, port) = (dir.path().display(), free_port());
    let file = dir.path().join("nginx.conf");
    let text = format!(
        "daemon off; master_process off; pid {place}/pid; error_log stderr notice;\n\
         events {{}}\n\
         http {{\n  access_log off; client_body_temp_path {place}/b; proxy_temp_path {place}/p;\n\
         \x20 fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;\n\
         \x20 server {{ listen 127.0.0.1:{port} proxy_protocol;\n\
         \x20   location / {{ return 200 \"$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port\"; }} }}\n}}\n"
    );
    fs::write(&file, text).unwrap();
    let process = Process::start(program("nginx").arg("-c").arg(&file));
    // It listens by then.
    process.wait_for_stderr("event method");
    (process, port)
}

#[test]
fn nginx_learns_who_visits_by_either_version() {
    let dir = TempDir::new().unwrap();
    let (_nginx, port) = nginx(&dir);
    let dev = Dev::start(&[]);
    for version in ["v1", "v2"] {
        let share = dev.share(&["tcp", &port.to_string(), "--proxy-protocol", version]);
        let address = crate::ports::address(&share);
        let output = run(program("curl").args([
            "-sS",
            "--fail",
            "-w",
            " %{local_port}",
            &format!("http://{address}/"),
        ]));
        let said = String::from_utf8(output.stdout).unwrap();
        let words: Vec<&str> = said.split(' ').collect();
        let [visitor, visitor_port, edge_port, local_port] = words[..] else {
            panic!("{version}: {said:?}: {:?}", output.stderr);
        };
        assert_eq!(visitor, "127.0.0.1", "{said}");
        assert_eq!(visitor_port, local_port, "{said}");
        assert!(address.ends_with(edge_port), "{said}");
    }
}

#[test]
fn a_server_of_datagrams_learns_who_sent_each() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    // Answers with the port that the header names, and the payload.
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = server.recv_from(&mut buffer) {
            let datagram = &buffer[..length];
            assert!(datagram.starts_with(b"\r\n\r\n\0\r\nQUIT\n\x21\x12"));
            let rest = usize::from(u16::from_be_bytes([datagram[14], datagram[15]]));
            let visitor = u16::from_be_bytes([datagram[24], datagram[25]]);
            let payload = String::from_utf8_lossy(&datagram[16 + rest..]).into_owned();
            let _ = server.send_to(format!("{visitor} {payload}").as_bytes(), from);
        }
    });
    let dev = Dev::start(&[]);
    let share = dev.share(&["udp", &port.to_string(), "--proxy-protocol", "v2"]);
    let visitor = UdpSocket::bind("127.0.0.1:0").unwrap();
    visitor.connect(crate::ports::address(&share)).unwrap();
    visitor.set_read_timeout(Some(tests::WAIT)).unwrap();
    let own = visitor.local_addr().unwrap().port();
    for word in ["one", "two"] {
        visitor.send(word.as_bytes()).unwrap();
        let mut answer = [0; 100];
        let length = visitor.recv(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert_eq!(answer, format!("{own} {word}"));
    }
    let refused = run(&mut dev.command(&["udp", "53", "--proxy-protocol", "v1"]));
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
}
