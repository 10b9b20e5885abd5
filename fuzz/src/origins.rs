//! What an origin answers when it is asked which HTTP it speaks (`agent`).

use std::net::Ipv4Addr;

use agent::{Address, Origin, OriginTls, probe};
use bolero::check;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tunnel::message::OriginProtocol;

use crate::{SLOW_ITERATIONS, recipe::Recipe};

const ANSWERS: [&[u8]; 5] = [
    b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64",
    b"\0\0\0\x04\x01\0\0\0\0",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"",
];

#[test]
fn probe_answer() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime
        .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .unwrap();
    let origin = Origin::Tcp(Address::new(
        "127.0.0.1",
        listener.local_addr().unwrap().port(),
    ));
    check!()
        .with_iterations(SLOW_ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let answer = recipe.bytes(&ANSWERS);
            let serve = async {
                let (mut io, _) = listener.accept().await.unwrap();
                // The asker may leave before it has read everything.
                let _ = io.write_all(&answer).await;
                let _ = io.shutdown().await;
                let _ = io.read_to_end(&mut Vec::new()).await;
            };
            let tls = OriginTls::Anything;
            let (found, ()) = runtime.block_on(async { tokio::join!(probe(&origin, &tls), serve) });
            let settings = answer
                .get(3..5)
                .is_some_and(|kind| kind[0] == 4 && kind[1] & 1 == 0);
            assert!(
                found.unwrap() == OriginProtocol::H1 || settings,
                "{answer:?}"
            );
        });
}
