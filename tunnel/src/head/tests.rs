use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::{collection::vec, option, prelude::*};

use super::*;

/// Written by hand from the text of the PROXY protocol, so that encoder and decoder cannot be wrong together.
const BY_HAND: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x28\
    \xc0\x00\x02\x01\xc6\x33\x64\x07\xd4\x31\x01\xbb\
    \xe0\x00\x04\x00\x00\x00\x07\
    \x20\x00\x05\x01\x00\x00\x00\x01\
    \x02\x00\x0aa.example:";

fn by_hand() -> StreamHead {
    StreamHead {
        authority: Some("a.example:".into()),
        tls: true,
        ..StreamHead::new(
            "192.0.2.1:54321".parse().unwrap(),
            "198.51.100.7:443".parse().unwrap(),
            7,
        )
    }
}

fn decoded(bytes: &[u8]) -> StreamHead {
    let (head, length) = StreamHead::decode(bytes).unwrap().unwrap();
    assert_eq!(length, bytes.len());
    head
}

/// A header of `command` and `family` with `body`.
fn raw(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([command, family]);
    bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

const BIND: &[u8] = b"\xe0\x00\x04\x00\x00\x00\x05";

#[test]
fn the_bytes_are_those_of_the_specification() {
    assert_eq!(by_hand().encode(), BY_HAND);
    assert_eq!(decoded(BY_HAND), by_hand());
}

#[test]
fn heads_without_addresses() {
    let local = StreamHead::new(UNSPECIFIED, UNSPECIFIED, 5);
    assert_eq!(local.encode(), raw(0x20, 0x00, BIND));
    let unix = [&[b'/'; 216][..], BIND].concat();
    let of_local_v4 = [&[1; 12][..], BIND].concat();
    for bytes in [
        raw(0x20, 0x00, BIND),
        raw(0x21, 0x00, BIND),
        raw(0x21, 0x31, &unix),
        raw(0x20, 0x11, &of_local_v4),
    ] {
        assert_eq!(decoded(&bytes), local);
    }
}

#[test]
fn two_families_meet_in_ipv6() {
    let head = StreamHead::new(
        "192.0.2.1:1".parse().unwrap(),
        "[2001:db8::1]:2".parse().unwrap(),
        1,
    );
    let read = decoded(&head.encode());
    assert_eq!(read.source, "[::ffff:192.0.2.1]:1".parse().unwrap());
    assert_eq!(read.destination, head.destination);
}

#[test]
fn unknown_tlvs_are_ignored() {
    let odd = [
        &[1; 12][..],
        b"\xe9\x00\x02ab\x04\x00\x00\x04\x00\x01x",
        BIND,
    ]
    .concat();
    assert_eq!(decoded(&raw(0x21, 0x11, &odd)).bind, 5);
}

#[test]
fn what_is_malformed_is_refused() {
    let twice = [&[1; 12][..], BIND, BIND].concat();
    let malformed: [(&[u8], &str); 7] = [
        (b"", "no addresses"),
        (&[1; 12], "no bind id"),
        (&twice, "two bind ids"),
        (
            &[&[1; 12][..], b"\xe0\x00\x03\x00\x00\x01"].concat(),
            "a short bind id",
        ),
        (
            &[&[1; 12][..], BIND, b"\xe1\x00\x02\x00\x00"].concat(),
            "a long hop count",
        ),
        (
            &[&[1; 12][..], BIND, b"\x02\x00\x09a"].concat(),
            "a TLV that leaves the head",
        ),
        (
            &[&[1; 12][..], BIND, b"\x02\x00\x01\xff"].concat(),
            "an authority that is not text",
        ),
    ];
    for (body, what) in malformed {
        let error = StreamHead::decode(&raw(0x21, 0x11, body)).unwrap_err();
        assert!(matches!(error, HeadError::Malformed(_)), "{what}: {error}");
    }
    let command = StreamHead::decode(&raw(0x22, 0x11, &[1; 12])).unwrap_err();
    assert_eq!(command, HeadError::Malformed("command"));
}

#[test]
fn datagrams_have_a_transport_of_their_own() {
    let body = [&[1; 12][..], BIND].concat();
    for (command, family, datagrams) in
        [(0x21, 0x12, true), (0x21, 0x11, false), (0x20, 0x12, false)]
    {
        let (head, _) = StreamHead::decode(&raw(command, family, &body))
            .unwrap()
            .unwrap();
        assert_eq!(head.datagrams, datagrams, "{command:x} {family:x}");
    }
}

#[test]
fn a_stranger_is_known_by_the_first_wrong_byte() {
    for start in [
        &b"G"[..],
        b"\r\n\r\n\0\r\nQUIx",
        b"\r\n\r\n\0\r\nQUIT\n\x11",
    ] {
        assert_eq!(StreamHead::decode(start), Err(HeadError::Signature));
    }
    let long = raw(0x21, 0x11, &[0; 1009]);
    assert_eq!(
        StreamHead::decode(&long[..16]),
        Err(HeadError::TooLong(1025))
    );
    assert_eq!(
        StreamHead::decode(&raw(0x21, 0x11, &[0; 1008])[..16]),
        Ok(None)
    );
}

#[test]
fn what_does_not_fit_is_left_out() {
    let head = StreamHead {
        authority: Some("x".repeat(MAX_AUTHORITY + 1)),
        unique_id: Some(vec![1; MAX_UNIQUE_ID]),
        alpn: Some(vec![2; MAX_ALPN]),
        ..by_hand()
    };
    let expected = StreamHead {
        authority: None,
        ..head.clone()
    };
    assert_eq!(decoded(&head.encode()), expected);
}

#[tokio::test]
async fn reading_takes_the_head_and_no_more() {
    let bytes = [BY_HAND, b"first bytes"].concat();
    let mut stream = &bytes[..];
    assert_eq!(StreamHead::read(&mut stream).await.unwrap(), by_hand());
    assert_eq!(stream, b"first bytes");
    let cut = StreamHead::read(&mut &BY_HAND[..30]).await.unwrap_err();
    assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    let stranger = StreamHead::read(&mut &b"GET / HTTP/1.1\r\n\r\n"[..]).await;
    assert_eq!(stranger.unwrap_err().kind(), io::ErrorKind::InvalidData);
}

fn any_address() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        any::<(u32, u16)>().prop_map(|(ip, port)| (Ipv4Addr::from(ip), port).into()),
        any::<(u128, u16)>().prop_map(|(ip, port)| (Ipv6Addr::from(ip), port).into()),
    ]
}

prop_compose! {
    fn any_head()(
        source in any_address(),
        destination in any_address(),
        alpn in option::of(vec(any::<u8>(), 0..=MAX_ALPN)),
        authority in option::of("[ -~]{0,255}"),
        unique_id in option::of(vec(any::<u8>(), 0..=MAX_UNIQUE_ID)),
        tls: bool,
        bind: u32,
        hops: u8,
        datagrams: bool,
    ) -> StreamHead {
        let datagrams = datagrams && source != UNSPECIFIED;
        StreamHead { source, destination, datagrams, alpn, authority, unique_id, tls, bind, hops }
    }
}

fn as_ipv6(address: SocketAddr) -> (Ipv6Addr, u16) {
    let ip = match address {
        SocketAddr::V4(address) => address.ip().to_ipv6_mapped(),
        SocketAddr::V6(address) => *address.ip(),
    };
    (ip, address.port())
}

proptest! {
    #[test]
    fn any_head_survives_within_its_bound(head in any_head(), more: Vec<u8>) {
        let mut bytes = head.encode();
        let length = bytes.len();
        prop_assert!(length <= limits::STREAM_HEAD);
        bytes.extend(more);
        let (read, used) = StreamHead::decode(&bytes).unwrap().unwrap();
        prop_assert_eq!(used, length);
        if head.source != UNSPECIFIED {
            prop_assert_eq!(as_ipv6(read.source), as_ipv6(head.source));
            prop_assert_eq!(as_ipv6(read.destination), as_ipv6(head.destination));
        }
        let (source, destination) = (read.source, read.destination);
        prop_assert_eq!(read, StreamHead { source, destination, ..head });
        for cut in 0..length {
            prop_assert_eq!(StreamHead::decode(&bytes[..cut]), Ok(None));
        }
    }

    #[test]
    fn no_body_panics(command: u8, family: u8, body in vec(any::<u8>(), 0..300)) {
        let _ = StreamHead::decode(&raw(command, family, &body));
        let _ = StreamHead::decode(&raw(0x21, 0x11, &body));
        let _ = StreamHead::decode(&body);
    }
}
