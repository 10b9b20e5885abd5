//! The head as an origin gets it that wants to know who visits: without what edges and agents tell each other.

use std::net::IpAddr;

use model::ProxyProtocol;

use super::{StreamHead, UNSPECIFIED, encode};

impl StreamHead {
    /// What goes before the visitor's first byte, or before each of his datagrams.
    pub fn for_origin(&self, version: ProxyProtocol) -> Vec<u8> {
        match version {
            ProxyProtocol::V1 => self.line().into_bytes(),
            ProxyProtocol::V2 => encode::for_origin(self),
        }
    }

    /// Version 1 (section 2.1): at most 107 bytes.
    fn line(&self) -> String {
        let (source, destination) = (self.source, self.destination);
        if source == UNSPECIFIED {
            return "PROXY UNKNOWN\r\n".into();
        }
        let (family, ips) = match (source.ip(), destination.ip()) {
            (source @ IpAddr::V4(_), destination @ IpAddr::V4(_)) => {
                ("TCP4", [source, destination])
            }
            (source, destination) => (
                "TCP6",
                [source, destination].map(|ip| encode::as_ipv6(ip).into()),
            ),
        };
        format!(
            "PROXY {family} {} {} {} {}\r\n",
            ips[0],
            ips[1],
            source.port(),
            destination.port()
        )
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn head(source: &str, destination: &str) -> StreamHead {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        StreamHead {
            hops: 3,
            authority: Some("a.example".into()),
            ..StreamHead::new(at(source), at(destination), 7)
        }
    }

    #[test]
    fn a_line_says_who_came_and_where() {
        let line = |source: &str, destination: &str| {
            let line = head(source, destination).for_origin(ProxyProtocol::V1);
            String::from_utf8(line).unwrap()
        };
        assert_eq!(
            line("192.0.2.1:4000", "203.0.113.1:443"),
            "PROXY TCP4 192.0.2.1 203.0.113.1 4000 443\r\n"
        );
        assert_eq!(
            line("[2001:db8::1]:4000", "203.0.113.1:443"),
            "PROXY TCP6 2001:db8::1 ::ffff:203.0.113.1 4000 443\r\n"
        );
        assert_eq!(line("0.0.0.0:0", "203.0.113.1:443"), "PROXY UNKNOWN\r\n");
    }

    #[test]
    fn an_origin_is_not_told_of_binds_and_hops() {
        let bytes = head("192.0.2.1:4000", "203.0.113.1:443").for_origin(ProxyProtocol::V2);
        let expected = [
            &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x18"[..],
            &[192, 0, 2, 1, 203, 0, 113, 1, 0x0f, 0xa0, 0x01, 0xbb],
            b"\x02\0\x09a.example",
        ]
        .concat();
        assert_eq!(bytes, expected);
        let mut datagrams = head("192.0.2.1:4000", "203.0.113.1:443");
        datagrams.datagrams = true;
        assert_eq!(datagrams.for_origin(ProxyProtocol::V2)[13], 0x12);
    }
}
