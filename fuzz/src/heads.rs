//! The stream head, and what load balancers say (`tunnel`): the PROXY protocol.

use std::net::SocketAddr;

use bolero::check;
use model::ProxyProtocol;
use tunnel::{
    StreamHead,
    head::{Announced, AnnouncedStep},
    limits,
};

use crate::{ITERATIONS, recipe::Recipe};

fn seeds() -> Vec<Vec<u8>> {
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    let plain = StreamHead::new(at("192.0.2.1:1234"), at("198.51.100.1:443"), 1);
    let full = StreamHead {
        alpn: Some(b"h2".to_vec()),
        authority: Some("api.alice.example".into()),
        unique_id: Some(vec![7; 16]),
        tls: true,
        hops: 1,
        ..StreamHead::new(at("[2001:db8::1]:1234"), at("[2001:db8::2]:443"), u32::MAX)
    };
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec();
    let unix = [
        b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8".to_vec(),
        vec![b'/'; 216],
    ]
    .concat();
    vec![plain.encode(), full.encode(), local, unix]
}

#[test]
fn head() {
    let seeds = seeds();
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<(Recipe, Vec<u8>)>()
        .for_each(|(recipe, behind)| {
            let bytes = [recipe.bytes(&seeds), behind.clone()].concat();
            let Ok(Some((head, length))) = StreamHead::decode(&bytes) else {
                return;
            };
            assert!((16..=limits::STREAM_HEAD).contains(&length) && length <= bytes.len());
            assert_eq!(
                StreamHead::decode(&bytes[..length]),
                Ok(Some((head.clone(), length))),
                "what follows is not looked at"
            );
            for end in [0, 11, 12, 15, 16, length - 1] {
                assert_eq!(
                    StreamHead::decode(&bytes[..end.min(length - 1)]),
                    Ok(None),
                    "a part is never refused"
                );
            }
            let again = head.encode();
            assert!(again.len() <= limits::STREAM_HEAD);
            let (read, _) = StreamHead::decode(&again).unwrap().unwrap();
            assert_eq!(
                StreamHead {
                    alpn: None,
                    authority: None,
                    unique_id: None,
                    ..read.clone()
                }
                .encode(),
                StreamHead {
                    alpn: None,
                    authority: None,
                    unique_id: None,
                    ..head.clone()
                }
                .encode()
            );
            // A member is kept as it is or, when it is too long to be passed on, left out.
            assert!(read.alpn.is_none() || read.alpn == head.alpn);
            assert!(read.authority.is_none() || read.authority == head.authority);
            assert!(read.unique_id.is_none() || read.unique_id == head.unique_id);
        });
}

#[test]
fn reading_takes_the_head_and_not_a_byte_more() {
    let seeds = seeds();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<(Recipe, Vec<u8>)>()
        .for_each(|(recipe, behind)| {
            let bytes = [recipe.bytes(&seeds), behind.clone()].concat();
            let mut rest = &bytes[..];
            let read = runtime.block_on(StreamHead::read(&mut rest));
            match StreamHead::decode(&bytes) {
                Ok(Some((head, length))) => {
                    assert_eq!((read.unwrap(), rest), (head, &bytes[length..]));
                }
                _ => assert!(read.is_err()),
            }
        });
}

/// A header that is cut anywhere is the start of one, and what follows it is the visitor's.
#[test]
fn announced() {
    let head = StreamHead::decode(&seeds()[1]).unwrap().unwrap().0;
    let mut seeds = seeds();
    seeds.extend([ProxyProtocol::V1, ProxyProtocol::V2].map(|version| head.for_origin(version)));
    seeds.push(b"PROXY TCP4 192.0.2.1 203.0.113.1 4000 443\r\n".to_vec());
    seeds.push(b"PROXY UNKNOWN\r\n".to_vec());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<(Recipe, Vec<u8>)>()
        .for_each(|(recipe, behind)| {
            let bytes = [recipe.bytes(&seeds), behind.clone()].concat();
            let mut rest = &bytes[..];
            let read = runtime.block_on(Announced::read(&mut rest));
            let Ok(AnnouncedStep::Whole(announced, length)) = Announced::step(&bytes) else {
                assert!(read.is_err());
                return;
            };
            assert!((15..=limits::PROXY_HEADER).contains(&length));
            assert_eq!((read.unwrap(), rest), (announced, &bytes[length..]));
            for cut in 0..length {
                match Announced::step(&bytes[..cut]) {
                    Ok(AnnouncedStep::More(more)) => assert!(more > 0 && cut + more <= length),
                    other => panic!("{other:?}"),
                }
            }
        });
}
