//! curl through the edge: versions, uploads, ranges, truncation, error pages.

use std::{fs, io::Write, net::Shutdown, process::Command};

use tests::{Dev, http_files, program, run, silent};

use crate::TRANSPORTS;

/// curl that trusts the development CA and finds names under `.localhost` by itself.
pub(crate) fn curl(dev: &Dev) -> Command {
    let mut command = program("curl");
    command.args(["-sS", "--max-time", "60", "--cacert", &dev.ca()]);
    command
}

fn text(command: &mut Command) -> String {
    let output = run(command);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_welcome_page_answers_over_http_and_https() {
    let dev = Dev::start(&[]);
    for url in [dev.url_of("http"), dev.url_of("https")] {
        let page = text(curl(&dev).arg(&url));
        assert!(page.contains("<html"), "{url}: {page}");
    }
}

#[test]
fn versions_one_and_two_reach_a_directory() {
    let files = tempfile::tempdir().unwrap();
    fs::write(files.path().join("hello.txt"), "hello from a file\n").unwrap();
    let dev = Dev::start(&[]);
    for transport in TRANSPORTS {
        let share = dev.share(&[
            "http",
            files.path().to_str().unwrap(),
            "--transport",
            transport,
        ]);
        assert_eq!(share.ready["transport"], transport);
        for (version, expected) in [("--http1.1", "1.1"), ("--http2", "2")] {
            let url = format!("{}/hello.txt", share.url_of("https").trim_end_matches('/'));
            let seen = text(curl(&dev).args([version, "-w", "%{http_version} %{http_code}", &url]));
            assert_eq!(
                seen,
                format!("hello from a file\n{expected} 200"),
                "{transport}"
            );
        }
    }
}

#[test]
fn a_download_resumes_by_range() {
    let files = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    fs::write(files.path().join("big.bin"), &content).unwrap();
    let dev = Dev::start(&[]);
    let share = dev.share(&["http", files.path().to_str().unwrap()]);
    let url = format!("{}/big.bin", share.url_of("https").trim_end_matches('/'));
    let part = files.path().join("part.bin");
    fs::write(&part, &content[..1_000_000]).unwrap();
    text(curl(&dev).args(["-C", "-", "-o", part.to_str().unwrap(), &url]));
    assert!(fs::read(&part).unwrap() == content);
}

#[test]
fn an_upload_arrives_whole_with_and_without_a_length() {
    let origin = http_files(|head, stream| {
        let body = read_body(head, stream);
        let answer = format!(
            "{} {}",
            body.len(),
            body.iter().map(|b| u64::from(*b)).sum::<u64>()
        );
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
            answer.len()
        );
    });
    let dir = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 253) as u8).collect();
    let sum: u64 = content.iter().map(|b| u64::from(*b)).sum();
    let file = dir.path().join("body");
    fs::write(&file, &content).unwrap();
    let dev = Dev::start(&[]);
    for transport in TRANSPORTS {
        let share = dev.share(&["http", &origin.port(), "--transport", transport]);
        for extra in [
            &["--http1.1"][..],
            &["--http1.1", "-H", "Transfer-Encoding: chunked"],
            &["--http2"],
        ] {
            let data = format!("@{}", file.display());
            let answer =
                text(
                    curl(&dev)
                        .args(extra)
                        .args(["--data-binary", &data, &share.url_of("https")]),
                );
            assert_eq!(answer, format!("5000000 {sum}"), "{transport} {extra:?}");
        }
    }
}

#[test]
fn a_truncated_answer_is_seen_as_truncated() {
    let by_length = http_files(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    });
    let by_chunks = http_files(|_, stream| {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n");
        let _ = stream.shutdown(Shutdown::Both);
    });
    let dev = Dev::start(&[]);
    for transport in TRANSPORTS {
        for origin in [&by_length, &by_chunks] {
            let share = dev.share(&["http", &origin.port(), "--transport", transport]);
            for version in ["--http1.1", "--http2"] {
                let output = run(curl(&dev).args([version, &share.url_of("https")]));
                assert!(
                    !output.status.success(),
                    "{transport} {version}: truncation was hidden"
                );
                let plain = run(curl(&dev).args([&share.url_of("http")]));
                assert!(
                    !plain.status.success(),
                    "{transport}: truncation was hidden in clear text"
                );
            }
        }
    }
}

#[test]
fn the_origin_learns_who_asks_and_strangers_cannot_say_so() {
    let origin = http_files(|head, stream| {
        let length = head.len();
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{head}"
        );
    });
    let dev = Dev::start(&[]);
    let share = dev.share(&["http", &origin.port()]);
    let url = share.url_of("https");
    let forged = [
        "-H",
        "X-Forwarded-For: 6.6.6.6",
        "-H",
        "Forwarded: for=6.6.6.6",
        "-H",
        "X-Forwarded-Proto: gopher",
    ];
    let head = text(curl(&dev).args(forged).arg(&url)).to_lowercase();
    assert!(
        !head.contains("6.6.6.6") && !head.contains("gopher"),
        "{head}"
    );
    assert!(
        head.contains("x-forwarded-proto: https") && head.contains("x-forwarded-for: "),
        "{head}"
    );
    assert!(head.contains("forwarded: for="), "{head}");
    let host = url.trim_start_matches("https://").trim_end_matches('/');
    assert!(head.contains(&format!("\r\nhost: {host}")), "{head}");
    let rewritten = dev.share(&[
        "http",
        &origin.port(),
        "--host-header",
        "origin",
        "--host",
        "rewritten",
    ]);
    let head = text(curl(&dev).arg(rewritten.url_of("https"))).to_lowercase();
    assert!(
        head.contains(&format!("\r\nhost: localhost:{}", origin.port())),
        "{head}"
    );
}

#[test]
fn an_unknown_an_offline_and_a_refusing_name_say_which() {
    let dev = Dev::start(&[]);
    let port = dev.https_port();
    let http = dev.http_port();
    let status = |url: &str| {
        let mut command = curl(&dev);
        text(command.args([
            "-k",
            "-H",
            "Accept: application/json",
            "-w",
            " %{http_code}",
            url,
        ]))
    };
    let unknown = status(&format!("http://nobody.localhost:{http}/"));
    assert!(
        unknown.ends_with(" 404") && unknown.contains("\"request\""),
        "{unknown}"
    );

    dev.admin(&["endpoint", "claim", "away"]);
    let offline = status(&format!("https://away.localhost:{port}/"));
    assert!(
        offline.ends_with(" 503") && offline.contains("\"error\""),
        "{offline}"
    );

    let refusing = dev.share(&[
        "http",
        &tests::free_port().to_string(),
        "--host",
        "refusing",
    ]);
    let refused = status(&refusing.url_of("https"));
    assert!(refused.ends_with(" 502"), "{refused}");
    let page = text(curl(&dev).args(["-H", "Accept: text/html", &refusing.url_of("https")]));
    assert!(page.contains("<html") && page.contains("502"), "{page}");
}

#[test]
fn a_stranger_gets_no_certificate() {
    let dev = Dev::start(&[]);
    let output = run(curl(&dev).args([
        "-k",
        &format!("https://stranger.localhost:{}/", dev.https_port()),
    ]));
    assert_eq!(
        output.status.code(),
        Some(35),
        "a TLS handshake must fail: {output:?}"
    );
}

#[test]
fn expect_100_continue_waits_for_the_origin() {
    // The origin refuses before it reads: curl then sends no body at all.
    let origin = http_files(|_, stream| {
        let _ = stream.write_all(
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
        let mut rest = Vec::new();
        let _ = std::io::Read::read_to_end(stream, &mut rest);
        assert!(rest.is_empty(), "{} bytes of the body came", rest.len());
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("body");
    fs::write(&file, vec![7; 2_000_000]).unwrap();
    let dev = Dev::start(&[]);
    let share = dev.share(&["http", &origin.port()]);
    let args = [
        "--http1.1",
        "-H",
        "Expect: 100-continue",
        "--expect100-timeout",
        "30",
        "-o",
        "/dev/null",
    ];
    let wanted = [
        "-w",
        "%{http_code} %{size_upload}",
        "-T",
        file.to_str().unwrap(),
    ];
    assert_eq!(
        text(
            curl(&dev)
                .args(args)
                .args(wanted)
                .arg(share.url_of("https"))
        ),
        "401 0"
    );
}

#[test]
fn three_hundred_silent_origins_stall_nobody() {
    let origin = silent();
    let files = tempfile::tempdir().unwrap();
    fs::write(files.path().join("ok"), "ok").unwrap();
    let dev = Dev::start(&[]);
    for transport in TRANSPORTS {
        let stuck = dev.share(&["http", &origin.port(), "--transport", transport]);
        let before = origin.connections();
        let addr = dev.http_addr();
        let host = stuck
            .url_of("http")
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        let held: Vec<_> = (0..300)
            .map(|_| {
                let mut stream = std::net::TcpStream::connect(&addr).unwrap();
                write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
                stream
            })
            .collect();
        // Only when all 300 have arrived are they 300.
        while origin.connections() < before + 300 {
            std::thread::yield_now();
        }
        let share = dev.share(&[
            "http",
            files.path().to_str().unwrap(),
            "--transport",
            transport,
        ]);
        let url = format!("{}/ok", share.url_of("https").trim_end_matches('/'));
        assert_eq!(text(curl(&dev).arg(&url)), "ok");
        // The same session goes on as well: a request to the stuck name reaches its origin.
        let _one_more = {
            let mut stream = std::net::TcpStream::connect(&addr).unwrap();
            write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
            stream
        };
        while origin.connections() < before + 301 {
            std::thread::yield_now();
        }
        drop(held);
    }
}

fn read_body(head: &str, stream: &mut std::net::TcpStream) -> Vec<u8> {
    use std::io::Read;
    let lower = head.to_lowercase();
    if lower.contains("expect: 100-continue") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    }
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map(|l| l.trim().parse().unwrap());
    let mut body = Vec::new();
    if let Some(length) = length {
        body.resize(length, 0);
        stream.read_exact(&mut body).unwrap();
        return body;
    }
    let mut reader = std::io::BufReader::new(stream);
    loop {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..]).unwrap();
        std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
        if size == 0 {
            return body;
        }
    }
}
