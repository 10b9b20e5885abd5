use model::ProxyProtocol;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::StreamHead;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn visitor(source: &str, destination: &str) -> Announced {
    Announced::Visitor {
        source: at(source),
        destination: at(destination),
    }
}

fn whole(bytes: &[u8]) -> Announced {
    match Announced::step(bytes) {
        Ok(Step::Whole(announced, length)) if length == bytes.len() => announced,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lines_of_version_1() {
    assert_eq!(
        whole(b"PROXY TCP4 192.0.2.1 203.0.113.1 4000 443\r\n"),
        visitor("192.0.2.1:4000", "203.0.113.1:443")
    );
    assert_eq!(
        whole(b"PROXY TCP6 2001:db8::1 ::ffff:203.0.113.1 4000 443\r\n"),
        visitor("[2001:db8::1]:4000", "203.0.113.1:443")
    );
    assert_eq!(whole(b"PROXY UNKNOWN\r\n"), Announced::Nobody);
    assert_eq!(whole(b"PROXY UNKNOWN ::1 ::1 1 1\r\n"), Announced::Nobody);
    for refused in [
        "GET / HTTP/1.1\r\n",
        "proxy TCP4 192.0.2.1 203.0.113.1 4000 443\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.1 4000 443\n",
        "PROXY TCP4 192.0.2.1 203.0.113.1 4000 443 \r\n",
        "PROXY TCP4  192.0.2.1 203.0.113.1 4000 443\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.1 04000 443\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.1 +400 443\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.1 4000 65536\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.1 4000\r\n",
        "PROXY TCP4 ::1 ::1 4000 443\r\n",
        "PROXY TCP6 192.0.2.1 203.0.113.1 4000 443\r\n",
        "PROXY UDP4 192.0.2.1 203.0.113.1 4000 443\r\n",
        "PROXY \r\n        ",
    ] {
        assert!(Announced::step(refused.as_bytes()).is_err(), "{refused:?}");
    }
    let endless = [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat();
    assert!(Announced::step(&endless).is_err());
}

#[test]
fn headers_of_version_2() {
    let raw = |command: u8, family: u8, body: &[u8]| {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, body].concat()
    };
    let body = [192, 0, 2, 1, 203, 0, 113, 1, 0x0f, 0xa0, 0x01, 0xbb];
    let came = visitor("192.0.2.1:4000", "203.0.113.1:443");
    assert_eq!(whole(&raw(0x21, 0x11, &body)), came);
    let with_more = [&body[..], &[0x20, 0, 5, 7, 0, 0, 0, 0], &[0xff; 2000]].concat();
    assert_eq!(whole(&raw(0x21, 0x11, &with_more)), came);
    assert_eq!(whole(&raw(0x20, 0x11, &body)), Announced::Nobody);
    assert_eq!(whole(&raw(0x20, 0, &[])), Announced::Nobody, "LOCAL");
    assert_eq!(whole(&raw(0x21, 0x31, &[b'/'; 216])), Announced::Nobody);
    for refused in [
        raw(0x31, 0x11, &body),
        raw(0x22, 0x11, &body),
        raw(0x21, 0x12, &body),
        raw(0x21, 0x11, &body[..11]),
        raw(0x21, 0x21, &body),
        raw(0x21, 0x11, &[0; PROXY_HEADER]),
    ] {
        assert!(Announced::step(&refused).is_err(), "{refused:?}");
    }
}

#[tokio::test]
async fn reading_takes_the_header_and_no_more() {
    let head = StreamHead::new(at("192.0.2.1:1"), at("203.0.113.1:2"), 7);
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let bytes = [head.for_origin(version), b"\n first bytes".to_vec()].concat();
        let mut stream = &bytes[..];
        let read = Announced::read(&mut stream).await.unwrap();
        assert_eq!(read, visitor("192.0.2.1:1", "203.0.113.1:2"));
        assert_eq!(stream, b"\n first bytes");
        let cut = Announced::read(&mut &bytes[..20]).await.unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    }
    let unknown = b"PROXY UNKNOWN\r\nx";
    let mut stream = &unknown[..];
    assert_eq!(
        Announced::read(&mut stream).await.unwrap(),
        Announced::Nobody
    );
    assert_eq!(stream, b"x");
}

fn any_address() -> impl Strategy<Value = SocketAddr> {
    any::<(IpAddr, u16)>().prop_map(|(ip, port)| (ip, port).into())
}

proptest! {
    #[test]
    fn what_is_written_for_origins_is_read(
        source in any_address(),
        destination in any_address(),
        version in prop_oneof![Just(ProxyProtocol::V1), Just(ProxyProtocol::V2)],
        behind: Vec<u8>,
    ) {
        let header = StreamHead::new(source, destination, 0).for_origin(version);
        let bytes = [header.clone(), behind].concat();
        let plain = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
        let expected = match source == UNSPECIFIED {
            true => Announced::Nobody,
            false => Announced::Visitor { source: plain(source), destination: plain(destination) },
        };
        prop_assert_eq!(Announced::step(&bytes), Ok(Step::Whole(expected, header.len())));
        for cut in 0..header.len() {
            match Announced::step(&bytes[..cut]) {
                Ok(Step::More(more)) => prop_assert!(more > 0 && cut + more <= header.len()),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn nothing_panics(command: u8, family: u8, body in vec(any::<u8>(), 0..300), text in "PROXY [ -~\r\n]{0,120}") {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        let _ = Announced::step(&[&SIGNATURE[..], &[command, family], &length, &body].concat());
        let _ = Announced::step(&body);
        let _ = Announced::step(text.as_bytes());
    }
}
