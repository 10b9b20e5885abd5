use proptest::prelude::*;
use rustls::{ClientConfig, ClientConnection, RootCertStore, pki_types::ServerName as Name};

use super::*;

/// What a client of our own TLS stack says first.
fn hello(name: &str) -> Vec<u8> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = Name::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(config.into(), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// The same handshake message in records of `size` bytes.
fn in_records(hello: &[u8], size: usize) -> Vec<u8> {
    let message = &hello[5..];
    let record = |part: &[u8]| {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[22, 3, 1][..], &length, part].concat()
    };
    message.chunks(size).flat_map(record).collect()
}

fn push_all(bytes: &[u8], step: usize) -> Result<Option<Option<String>>, PeekError> {
    let mut peek = Peek::new();
    for part in bytes.chunks(step) {
        if let Some(ServerName(name)) = peek.push(part)? {
            assert!(bytes.starts_with(&peek.bytes), "every byte is kept");
            return Ok(Some(name.map(|name| name.to_string())));
        }
    }
    Ok(None)
}

#[test]
fn the_name_is_found_however_it_comes() {
    let hello = hello("A.example");
    let found = Some(Some("a.example".to_owned()));
    for step in [1, 7, 100, 4096] {
        assert_eq!(push_all(&hello, step).unwrap(), found, "segments of {step}");
        assert_eq!(
            push_all(&in_records(&hello, 50), step).unwrap(),
            found,
            "records of 50"
        );
    }
    assert_eq!(push_all(&hello[..hello.len() - 1], 64).unwrap(), None);
}

#[test]
fn an_address_is_no_name() {
    assert_eq!(push_all(&hello("127.0.0.1"), 4096).unwrap(), Some(None));
}

#[test]
fn what_is_no_client_hello_is_refused() {
    assert!(matches!(
        push_all(b"GET / HTTP/1.1\r\n", 3),
        Err(PeekError::Plain)
    ));
    match push_all(b"SSH-2.0-OpenSSH_9.9\r\n", 64) {
        Err(PeekError::NotTls { alert, .. }) => assert_eq!(alert.first(), Some(&21)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_hello_that_never_ends_is_bounded() {
    // A handshake message of almost 16 MiB, in records.
    let message = [&[1, 255, 255, 255][..], &[0; 40_000]].concat();
    let endless = in_records(&[&[0; 5][..], &message].concat(), 4000);
    let mut peek = Peek::new();
    let refused = endless.chunks(1000).find_map(|part| peek.push(part).err());
    assert!(refused.is_some());
    assert!(peek.bytes.len() <= CLIENT_HELLO + 1000);
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..2000), step in 1_usize..500) {
        let _ = push_all(&bytes, step);
    }

    #[test]
    fn a_hello_with_a_wrong_byte_gives_an_answer(at in 0_usize..200, byte in any::<u8>(), step in 1_usize..300) {
        let mut hello = hello("a.example");
        hello[at] = byte;
        let _ = push_all(&hello, step);
    }
}
