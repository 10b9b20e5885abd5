//! nc through a port of the edge.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use tests::{Dev, Origin, Process, echo, program, speaks_first};

use crate::TRANSPORTS;

/// `127.0.0.1:PORT` of a shared TCP endpoint.
pub(crate) fn address(share: &tests::Share) -> String {
    let url = share.url();
    let port = url.rsplit(':').next().unwrap().trim_end_matches('/');
    format!("127.0.0.1:{port}")
}

#[test]
fn the_server_may_speak_first() {
    let origin = speaks_first("220 ready\n");
    let dev = Dev::start(&[]);
    for transport in TRANSPORTS {
        let share = dev.share(&["tcp", &origin.port(), "--transport", transport]);
        let addr = address(&share);
        let (host, port) = addr.split_once(':').unwrap();
        let mut nc = Process::start(program("nc").args(["-N", host, port]));
        nc.wait_for_line(0, "the greeting", |line| {
            (line == "220 ready").then_some(())
        });
        nc.write_stdin(b"and now me\n");
        nc.wait_for_line(1, "the echo", |line| (line == "and now me").then_some(()));
        nc.close_stdin();
        assert!(nc.wait().success());
    }
}

#[test]
fn a_half_closed_visitor_still_gets_its_answer() {
    // The origin answers only after it has seen the end of the question.
    let origin = Origin::start(|mut stream| {
        let mut question = Vec::new();
        stream.read_to_end(&mut question).unwrap();
        writeln!(stream, "{} bytes", question.len()).unwrap();
    });
    let dev = Dev::start(&[]);
    for transport in TRANSPORTS {
        let share = dev.share(&["tcp", &origin.port(), "--transport", transport]);
        let addr = address(&share);
        let (host, port) = addr.split_once(':').unwrap();
        let mut nc = Process::start(program("nc").args(["-N", host, port]));
        nc.write_stdin(&[b'x'; 100_000]);
        nc.close_stdin();
        nc.wait_for_line(0, "the answer", |line| {
            (line == "100000 bytes").then_some(())
        });
        assert!(nc.wait().success());
    }
}

#[test]
fn a_reset_is_seen_as_a_reset_in_both_directions() {
    let origin = Origin::start(|mut stream| {
        let mut one = [0];
        let _ = stream.read_exact(&mut one);
        if one == *b"r" {
            reset(stream);
        } else {
            // The visitor resets: the read must fail, not end.
            let error = stream
                .read(&mut one)
                .expect_err("an abort looked like an end");
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    });
    let dev = Dev::start(&[]);
    for transport in TRANSPORTS {
        let share = dev.share(&["tcp", &origin.port(), "--transport", transport]);
        let mut visitor = TcpStream::connect(address(&share)).unwrap();
        visitor
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        visitor.write_all(b"r").unwrap();
        let error = visitor
            .read(&mut [0])
            .expect_err("an abort looked like an end");
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::ConnectionReset,
            "{transport}"
        );
    }
}

#[test]
fn a_visitor_that_aborts_aborts_at_the_origin() {
    let (seen, results) = std::sync::mpsc::channel();
    let seen = std::sync::Mutex::new(seen);
    let origin = Origin::start(move |mut stream| {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        stream.write_all(b"k").unwrap();
        let result = stream.read(&mut byte).map_err(|error| error.kind());
        seen.lock().unwrap().send(result).unwrap();
    });
    let dev = Dev::start(&[]);
    for transport in TRANSPORTS {
        let share = dev.share(&["tcp", &origin.port(), "--transport", transport]);
        let mut visitor = TcpStream::connect(address(&share)).unwrap();
        visitor.write_all(b"x").unwrap();
        visitor.read_exact(&mut [0]).unwrap();
        reset(visitor);
        let result = results.recv_timeout(tests::WAIT).unwrap();
        assert_eq!(
            result,
            Err(std::io::ErrorKind::ConnectionReset),
            "{transport}"
        );
    }
}

#[test]
fn an_asked_port_is_given_and_stays_for_the_same_target() {
    let origin = echo();
    let range = tests::free_ports(100);
    let (first, last) = (range.start(), range.end());
    let dev = Dev::start(&["--tcp-ports", &format!("{first}-{last}")]);
    let wanted = (first + 50).to_string();
    let asked = dev.share(&["tcp", &origin.port(), "--port", &wanted]);
    assert_eq!(address(&asked), format!("127.0.0.1:{wanted}"));
    drop(asked);
    let first = address(&dev.share(&["tcp", &origin.port()]));
    let second = address(&dev.share(&["tcp", &origin.port()]));
    assert_eq!(first, second);
}

#[test]
fn bulk_crosses_unchanged_in_both_directions_at_once() {
    let origin = echo();
    let dev = Dev::start(&[]);
    for transport in TRANSPORTS {
        let share = dev.share(&["tcp", &origin.port(), "--transport", transport]);
        let mut visitor = TcpStream::connect(address(&share)).unwrap();
        let mut reader = visitor.try_clone().unwrap();
        let content: Vec<u8> = (0..20_000_000_u32).map(|n| (n / 7 % 256) as u8).collect();
        let sent = content.clone();
        let writer = std::thread::spawn(move || {
            visitor.write_all(&sent).unwrap();
            visitor.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        reader.read_to_end(&mut back).unwrap();
        writer.join().unwrap();
        assert!(
            back == content,
            "{transport}: {} bytes came back",
            back.len()
        );
    }
}

/// Closes with RST.
fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}
