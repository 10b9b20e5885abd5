//! The answer to the HTTPS upgrade (`tunnel`), as an edge or something in front of it may give it.

use std::time::Duration;

use bolero::check;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tunnel::upgrade;

use crate::{SLOW_ITERATIONS, recipe::Recipe};

const ANSWERS: [&str; 4] = [
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: adit-mux\r\n\r\n\0\x02\0\x01\0\0\0\0\0\0\0\x07",
    "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n{\"code\":5,\"msg\":\"no\",\"id\":null}",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.0 502 Bad Gateway\r\n\r\n<html>",
];

/// Longer than any time limit of the binding itself.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn upgrade_answer() {
    let mut paused = tokio::runtime::Builder::new_current_thread();
    let runtime = paused.enable_time().start_paused(true).build().unwrap();
    let peer = "127.0.0.1:1".parse().unwrap();
    check!()
        .with_iterations(SLOW_ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let answer = recipe.bytes(&ANSWERS);
            let told = runtime.block_on(async {
                let (near, mut far) = tokio::io::duplex(4096);
                let serve = async {
                    let _ = far.write_all(&answer).await;
                    let _ = far.shutdown().await;
                    let _ = far.read_to_end(&mut Vec::new()).await;
                };
                let ask =
                    tokio::time::timeout(PATIENCE, upgrade::connect(near, "edge.example", peer));
                tokio::select! {
                    told = ask => told.expect("an answer that has ended is an answer"),
                    () = async { serve.await; std::future::pending().await } => unreachable!(),
                }
            });
            // Empty lines in front of an answer are skipped.
            let answer = answer.trim_ascii_start();
            let switched =
                ["HTTP/1.1 101", "HTTP/1.0 101"].map(|start| answer.starts_with(start.as_bytes()));
            assert!(told.is_err() || switched.contains(&true), "{answer:?}");
        });
}
