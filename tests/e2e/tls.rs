//! TLS passthrough: the key never leaves the origin.

use std::fs;

use tests::{Dev, Process, program, run};

use crate::TRANSPORTS;

#[test]
fn the_certificate_seen_is_the_origins() {
    let dir = tempfile::tempdir().unwrap();
    let (key, cert) = (dir.path().join("key.pem"), dir.path().join("cert.pem"));
    let made = rcgen::generate_simple_self_signed(vec!["origin.test".to_owned()]).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    fs::write(&cert, made.cert.pem()).unwrap();
    let port = tests::free_port();
    let mut server = program("openssl");
    server.args([
        "s_server",
        "-accept",
        &format!("127.0.0.1:{port}"),
        "-www",
        "-naccept",
        "20",
    ]);
    let server = Process::start(server.arg("-key").arg(&key).arg("-cert").arg(&cert));
    server.wait_for_line(0, "ACCEPT", |line| line.starts_with("ACCEPT").then_some(()));

    let dev = Dev::start(&[]);
    for transport in TRANSPORTS {
        let share = dev.share(&["tls", &port.to_string(), "--transport", transport]);
        let connect = format!("127.0.0.1:{}", dev.https_port());
        let mut client = program("openssl");
        client.args([
            "s_client",
            "-connect",
            &connect,
            "-servername",
            &share.name(),
            "-showcerts",
        ]);
        let output = run(&mut client);
        let seen = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
        assert!(
            seen.contains(made.cert.pem().replace("\r\n", "\n").trim()),
            "{transport}: {seen}"
        );
        let mut get = program("curl");
        let url = format!("https://{}:{}/", share.name(), dev.https_port());
        let page = run(get.args(["-sSk", &url]));
        assert!(
            String::from_utf8_lossy(&page.stdout).contains("s_server"),
            "{transport}: {page:?}"
        );
    }
}
