//! grpcio, from PyPI, on both ends.

use tests::{Dev, Process, python, run};

use crate::TRANSPORTS;

#[test]
fn unary_trailers_and_bidirectional_streams_cross() {
    let origin = Process::start(&mut python("grpc_origin.py"));
    let (_, port) = origin.wait_for_line(0, "port", |line| line.parse::<u16>().ok());
    let dev = Dev::start(&[]);
    for transport in TRANSPORTS {
        // One share is told that the origin speaks HTTP/2, the other finds out.
        for target in [format!("h2c://127.0.0.1:{port}"), port.to_string()] {
            let share = dev.share(&["http", &target, "--transport", transport]);
            let host = share.name();
            let output = run(python("grpc_client.py").args([
                &host,
                &dev.https_port().to_string(),
                &dev.ca(),
            ]));
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{transport} {target}: {said}");
        }
    }
}
