//! The `websockets` library, from PyPI, on both ends.

use tests::{Dev, Process, python, run};

use crate::TRANSPORTS;

#[test]
fn messages_large_and_small_cross_in_clear_text_and_tls() {
    let origin = Process::start(&mut python("ws_origin.py"));
    let (_, port) = origin.wait_for_line(0, "port", |line| line.parse::<u16>().ok());
    let dev = Dev::start(&[]);
    for transport in TRANSPORTS {
        let share = dev.share(&["http", &port.to_string(), "--transport", transport]);
        let (http, https) = (dev.http_port().to_string(), dev.https_port().to_string());
        for (port, ca) in [(&http, "-".to_owned()), (&https, dev.ca())] {
            let output = run(python("ws_client.py").args([&share.name(), port, &ca]));
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{transport} {port}: {said}");
        }
    }
}
