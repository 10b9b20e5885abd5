//! Many visits, large bodies, slow readers: judged by counts and memory, never by time.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    thread,
};

use tests::{Dev, http_files, program, run};

use crate::{TRANSPORTS, http::curl};

/// A process that held a 2 GB body would need that much; buffers, windows and code need far less than this.
const MEMORY_BOUND: u64 = 400 << 20;

#[test]
fn a_thousand_visits_at_once_are_all_answered() {
    let files = tempfile::tempdir().unwrap();
    fs::write(files.path().join("page"), "x".repeat(1000)).unwrap();
    let dev = Dev::start(&[]);
    for transport in TRANSPORTS {
        let share = dev.share(&[
            "http",
            files.path().to_str().unwrap(),
            "--transport",
            transport,
        ]);
        let addr = dev.http_addr();
        let host = share.name();
        // All are open before the first is answered, so that they are a thousand at once.
        let mut visits: Vec<_> = (0..1000)
            .map(|_| TcpStream::connect(&addr).unwrap())
            .collect();
        for visit in &mut visits {
            write!(
                visit,
                "GET /page HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
        }
        for (n, visit) in visits.iter_mut().enumerate() {
            let mut answer = String::new();
            visit.read_to_string(&mut answer).unwrap();
            assert!(
                answer.starts_with("HTTP/1.1 200 "),
                "{transport}, visit {n}: {answer:.200}"
            );
            assert!(
                answer.ends_with(&"x".repeat(1000)),
                "{transport}, visit {n}"
            );
        }
    }
}

#[test]
fn two_gigabytes_go_up_in_constant_memory() {
    const SIZE: u64 = 2_000_000_000;
    let origin = http_files(|head, stream| {
        let length: u64 = head
            .to_lowercase()
            .lines()
            .find_map(|line| {
                line.strip_prefix("content-length: ")
                    .map(|l| l.trim().parse().unwrap())
            })
            .unwrap();
        let mut taken = Read::by_ref(stream).take(length);
        let got = std::io::copy(&mut taken, &mut std::io::sink()).unwrap();
        let answer = got.to_string();
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
            answer.len()
        );
    });
    let dir = tempfile::tempdir().unwrap();
    let body = dir.path().join("body");
    // A sparse file: the size without the disk.
    fs::File::create(&body).unwrap().set_len(SIZE).unwrap();
    let dev = Dev::start(&[]);
    let share = dev.share(&["http", &origin.port(), "--transport", "tcp"]);
    let mut upload = curl(&dev);
    upload.args([
        "--max-time",
        "600",
        "-H",
        "Expect:",
        "-T",
        body.to_str().unwrap(),
        &share.url_of("https"),
    ]);
    let output = run(&mut upload);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        SIZE.to_string(),
        "{output:?}"
    );
    for (what, process) in [("provider", &dev.process), ("agent", &share.process)] {
        let peak = process.peak_memory();
        assert!(
            peak < MEMORY_BOUND,
            "the {what} peaked at {} MiB",
            peak >> 20
        );
    }
}

#[test]
fn a_reader_that_stops_costs_only_its_own_stream() {
    // The slow visitor's origin could send for ever.
    let origin = http_files(|head, stream| {
        if head.starts_with("GET /endless ") {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            while stream.write_all(&[b'.'; 65536]).is_ok() {}
        } else {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        }
    });
    let dev = Dev::start(&[]);
    for transport in TRANSPORTS {
        let share = dev.share(&["http", &origin.port(), "--transport", transport]);
        let host = share.name();
        let slow: Vec<_> = (0..20)
            .map(|_| {
                let mut stream = TcpStream::connect(dev.http_addr()).unwrap();
                write!(stream, "GET /endless HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
                stream.read_exact(&mut [0]).unwrap();
                stream
            })
            .collect();
        // The same session serves others while twenty readers stand still.
        let visits: Vec<_> = (0..20)
            .map(|_| {
                let url = share.url_of("https");
                let mut command = curl(&dev);
                thread::spawn(move || run(command.arg(url)))
            })
            .collect();
        for visit in visits {
            assert_eq!(visit.join().unwrap().stdout, b"ok", "{transport}");
        }
        for (what, process) in [("provider", &dev.process), ("agent", &share.process)] {
            let peak = process.peak_memory();
            assert!(
                peak < MEMORY_BOUND,
                "{transport}: the {what} peaked at {} MiB",
                peak >> 20
            );
        }
        drop(slow);
    }
}

#[test]
fn a_download_of_a_gigabyte_crosses_over_quic_in_constant_memory() {
    const SIZE: usize = 1 << 30;
    let origin = http_files(|_, stream| {
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\nConnection: close\r\n\r\n"
        );
        for _ in 0..SIZE / 65536 {
            if stream.write_all(&[7; 65536]).is_err() {
                return;
            }
        }
    });
    let dev = Dev::start(&[]);
    let share = dev.share(&["http", &origin.port(), "--transport", "quic"]);
    let mut download = program("curl");
    let url = share.url_of("http");
    download.args([
        "-sS",
        "--max-time",
        "600",
        "-o",
        "/dev/null",
        "-w",
        "%{size_download}",
        &url,
    ]);
    let output = run(&mut download);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        SIZE.to_string(),
        "{output:?}"
    );
    for process in [&dev.process, &share.process] {
        assert!(process.peak_memory() < MEMORY_BOUND);
    }
}
