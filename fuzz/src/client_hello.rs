//! The first bytes of a visitor (`edge`), and of an origin's answer (`agent`): read in any pieces.

use std::sync::Arc;

use bolero::check;

use crate::{ITERATIONS, recipe::Recipe};

/// What a browser would send for a name.
fn client_hello(name: &'static str) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = name.try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn hello_in_pieces() {
    let hellos = [
        client_hello("shop.localhost"),
        client_hello("a.b.c.example"),
    ];
    let seeds: Vec<&[u8]> = hellos
        .iter()
        .map(Vec::as_slice)
        .chain([&b"GET / HTTP/1.1\r\n"[..], b""])
        .collect();
    assert!(edge::fuzzing::is_client_hello(hellos[0].chunks(7)));
    check!()
        .with_iterations(ITERATIONS / 4)
        .with_type::<(Recipe, u8)>()
        .for_each(|(recipe, piece)| {
            let bytes = recipe.bytes(&seeds);
            let pieces = bytes.chunks(usize::from(*piece).max(1));
            // However it is cut, it is the same.
            let whole = edge::fuzzing::is_client_hello([bytes.as_slice()]);
            assert_eq!(edge::fuzzing::is_client_hello(pieces), whole);
        });
}

#[test]
fn hint_in_pieces() {
    const SEEDS: [&[u8]; 3] = [
        b"HTTP/1.1 403 Forbidden\r\n\r\nBlocked request. This host (\"x\") is not allowed.",
        b"HTTP/1.1 200 OK\r\n\r\nInvalid Host header",
        b"",
    ];
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<(Recipe, u8)>()
        .for_each(|(recipe, piece)| {
            let bytes = recipe.bytes(&SEEDS);
            let _ = agent::fuzzing::scan_all(bytes.chunks(usize::from(*piece).max(1)));
        });
}
