//! From [`StreamHead`] to bytes.

use std::net::IpAddr;

use super::{
    MAX_ALPN, MAX_AUTHORITY, MAX_UNIQUE_ID, PREFIX, SIGNATURE, StreamHead, UNSPECIFIED, tlv,
};

/// Version 2 with the commands LOCAL and PROXY.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
/// Address families, and what is added to them.
const UNSPEC: u8 = 0x00;
const INET: u8 = 0x10;
const INET6: u8 = 0x20;
const STREAM: u8 = 0x01;
const DGRAM: u8 = 0x02;
/// `client` of the SSL TLV: the visitor came over TLS and showed no certificate.
const CLIENT_SSL: u8 = 0x01;
/// `verify` of the SSL TLV: anything but zero says that no certificate was verified.
const NOT_VERIFIED: u32 = 1;

pub(super) fn encode(head: &StreamHead) -> Vec<u8> {
    header(head, |bytes| {
        put(bytes, tlv::BIND, &head.bind.to_be_bytes());
        if head.hops > 0 {
            put(bytes, tlv::HOPS, &[head.hops]);
        }
    })
}

/// Without what is between edges and agents.
pub(super) fn for_origin(head: &StreamHead) -> Vec<u8> {
    header(head, |_| ())
}

fn header(head: &StreamHead, own: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    bytes.extend(SIGNATURE);
    bytes.extend([0; PREFIX - SIGNATURE.len()]);
    let (command, family) = addresses(&mut bytes, head);
    own(&mut bytes);
    tlvs(&mut bytes, head);
    // Every part is bounded well below 64 KiB.
    let length = u16::try_from(bytes.len() - PREFIX).unwrap_or(u16::MAX);
    bytes[12] = command;
    bytes[13] = family;
    bytes[14..PREFIX].copy_from_slice(&length.to_be_bytes());
    bytes
}

fn addresses(bytes: &mut Vec<u8>, head: &StreamHead) -> (u8, u8) {
    let (source, destination) = (head.source, head.destination);
    let transport = if head.datagrams { DGRAM } else { STREAM };
    if source == UNSPECIFIED {
        return (LOCAL, UNSPEC);
    }
    let family = match (source.ip(), destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
            INET
        }
        // Of two families, IPv6 can hold both (RFC 4291, section 2.5.5.2).
        (source, destination) => {
            bytes.extend(as_ipv6(source));
            bytes.extend(as_ipv6(destination));
            INET6
        }
    };
    bytes.extend(source.port().to_be_bytes());
    bytes.extend(destination.port().to_be_bytes());
    (PROXY, family | transport)
}

pub(super) fn as_ipv6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn tlvs(bytes: &mut Vec<u8>, head: &StreamHead) {
    if head.tls {
        let [a, b, c, d] = NOT_VERIFIED.to_be_bytes();
        put(bytes, tlv::SSL, &[CLIENT_SSL, a, b, c, d]);
    }
    let visitors = [
        (tlv::ALPN, head.alpn.as_deref(), MAX_ALPN),
        (
            tlv::AUTHORITY,
            head.authority.as_ref().map(String::as_bytes),
            MAX_AUTHORITY,
        ),
        (tlv::UNIQUE_ID, head.unique_id.as_deref(), MAX_UNIQUE_ID),
    ];
    for (kind, value, max) in visitors {
        if let Some(value) = value.filter(|value| value.len() <= max) {
            put(bytes, kind, value);
        }
    }
}

fn put(bytes: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let Ok(length) = u16::try_from(value.len()) else {
        return;
    };
    bytes.push(kind);
    bytes.extend(length.to_be_bytes());
    bytes.extend(value);
}
