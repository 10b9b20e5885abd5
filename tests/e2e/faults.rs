//! kill -9 of either side during traffic, and what happens next.

use std::{fs, thread};

use tests::{Dev, Process, run};

use crate::{TRANSPORTS, http::curl};

#[test]
fn a_killed_agent_takes_its_name_over_again() {
    let files = tempfile::tempdir().unwrap();
    fs::write(files.path().join("f"), "still here").unwrap();
    let dev = Dev::start(&[]);
    for transport in TRANSPORTS {
        let args = [
            "http",
            files.path().to_str().unwrap(),
            "--transport",
            transport,
            "--host",
            "phoenix",
        ];
        let mut share = dev.share(&args);
        let url = format!("{}/f", share.url_of("https").trim_end_matches('/'));
        assert_eq!(run(curl(&dev).arg(&url)).stdout, b"still here");
        share.process.kill();
        // The name comes back at once: the new process shows the dead one's resume secret.
        let again = dev.share(&args);
        assert_eq!(again.url(), share.url());
        assert_eq!(
            run(curl(&dev).arg(&url)).stdout,
            b"still here",
            "{transport}"
        );
    }
}

#[test]
fn a_killed_provider_comes_back_and_agents_return_by_themselves() {
    let files = tempfile::tempdir().unwrap();
    fs::write(files.path().join("f"), "still here").unwrap();
    let [edge, http, control] = [(); 3].map(|()| format!("127.0.0.1:{}", tests::free_port()));
    let addresses = [
        ["--edge-addr", &edge],
        ["--http-addr", &http],
        ["--control-addr", &control],
    ]
    .concat();
    let dev = Dev::start(&addresses);
    let shares: Vec<_> = TRANSPORTS
        .map(|t| {
            dev.share(&[
                "http",
                files.path().to_str().unwrap(),
                "--transport",
                t,
                "--host",
                t,
            ])
        })
        .into();
    let urls: Vec<_> = shares
        .iter()
        .map(|s| format!("{}/f", s.url_of("http").trim_end_matches('/')))
        .collect();
    let seen: Vec<_> = shares
        .iter()
        .map(|share| share.process.stdout().len())
        .collect();
    let (data, _) = dev.kill();
    let dev = Dev::start_in(data, &addresses);
    for ((share, from), url) in shares.iter().zip(seen).zip(&urls) {
        share.process.wait_for_event(from, "ready");
        assert_eq!(run(curl(&dev).arg(url)).stdout, b"still here", "{url}");
    }
}

#[test]
fn a_killed_agent_is_no_clean_end_for_a_download() {
    let origin = tests::http_files(|_, stream| {
        use std::io::Write;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while stream.write_all(&[b'.'; 65536]).is_ok() {}
    });
    let dev = Dev::start(&[]);
    let mut share = dev.share(&["http", &origin.port(), "--transport", "tcp"]);
    for version in ["--http1.1", "--http2"] {
        let mut command = curl(&dev);
        let url = share.url_of("https");
        let file = dev.data_dir().join("download");
        command.args([version, "-o", file.to_str().unwrap(), &url]);
        let download = thread::spawn(move || run(&mut command));
        while fs::metadata(&file).map_or(0, |meta| meta.len()) < 1_000_000 {
            thread::yield_now();
        }
        share.process.kill();
        assert!(
            !download.join().unwrap().status.success(),
            "{version}: the abort looked like an end"
        );
        fs::remove_file(&file).unwrap();
        share = dev.share(&["http", &origin.port(), "--transport", "tcp"]);
    }
}

#[test]
fn a_transport_that_was_asked_for_is_used_and_quic_comes_first() {
    let dev = Dev::start(&[]);
    let share = dev.share(&["http", "127.0.0.1:9", "--transport", "tcp"]);
    assert_eq!(share.ready["transport"], "tcp");
    let auto = dev.share(&[
        "http",
        "127.0.0.1:9",
        "--transport",
        "auto",
        "--host",
        "auto",
    ]);
    assert_eq!(auto.ready["transport"], "quic", "{}", auto.ready);
}

#[test]
fn a_provider_that_was_killed_keeps_what_it_acknowledged() {
    let dev = Dev::start(&[]);
    let claimed = dev.admin(&["endpoint", "claim", "keepsake"]);
    let (data, _) = dev.kill();
    let dev = Dev::start_in(data, &[]);
    let listed = dev.admin(&["endpoint", "list"]);
    let kept = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["name"] == "keepsake.localhost")
        .unwrap();
    assert_eq!(kept["claim"], claimed["claim"]);
}

#[test]
fn a_second_provider_in_the_same_place_is_told_who_runs() {
    let dev = Dev::start(&[]);
    let output = run(&mut dev.command(&["dev", "3000"]));
    assert_eq!(output.status.code(), Some(7));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains(&dev.process.id().to_string()) && said.contains("adit http 3000"),
        "{said}"
    );
}

#[test]
fn both_sides_stop_cleanly_when_asked() {
    let mut dev = Dev::start(&[]);
    let mut share = dev.share(&["http", "127.0.0.1:9"]);
    assert_eq!(share.process.terminate().code(), Some(0));
    let stopped: Option<serde_json::Value> = share
        .process
        .stdout()
        .last()
        .and_then(|line| serde_json::from_str(line).ok());
    assert_eq!(stopped.unwrap()["event"], "stopped");
    assert_eq!(dev.process.terminate().code(), Some(0));
    let _: &Process = &dev.process;
}
