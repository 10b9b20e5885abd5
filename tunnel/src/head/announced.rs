//! What a load balancer says of a visitor's connection before its first byte, by either version of the PROXY protocol (haproxy's
//! proxy-protocol.txt). Nothing is guessed: what is not exactly a header is refused.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::io::{AsyncRead, AsyncReadExt};

use super::{
    HeadError, PREFIX, SIGNATURE, UNSPECIFIED,
    decode::{DGRAM, Rest, addresses},
};
use crate::limits::PROXY_HEADER;

/// "PROXY UNKNOWN\r\n": no header of either version is shorter.
const SHORTEST: usize = 15;
/// Of version 1 (section 2.1), its line's end included.
const LONGEST_LINE: usize = 107;
const WORD: &[u8] = b"PROXY ";

/// Who came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// A visitor, and what he connected to.
    Visitor {
        source: SocketAddr,
        destination: SocketAddr,
    },
    /// The balancer itself, or somebody without an address.
    Nobody,
}

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A header of so many bytes.
    Whole(Announced, usize),
    /// The start of one; so many more bytes belong to it for certain.
    More(usize),
}

impl Announced {
    /// Looks at the start of a connection.
    pub fn step(bytes: &[u8]) -> Result<Step, HeadError> {
        if bytes.is_empty() {
            return Ok(Step::More(SHORTEST));
        }
        let begins = |with: &[u8]| {
            let common = bytes.len().min(with.len());
            bytes[..common] == with[..common]
        };
        if begins(&SIGNATURE) {
            binary(bytes)
        } else if begins(WORD) {
            line(bytes)
        } else {
            Err(HeadError::NoProxyHeader)
        }
    }

    /// Reads the header and not a byte more.
    pub async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(LONGEST_LINE);
        loop {
            let more = match Self::step(&bytes).map_err(super::invalid)? {
                Step::Whole(announced, _) => return Ok(announced),
                Step::More(more) => more,
            };
            let read = bytes.len();
            bytes.resize(read + more, 0);
            stream.read_exact(&mut bytes[read..]).await?;
        }
    }
}

/// Version 2 (section 2.2). What stands behind the addresses is of no use here.
fn binary(bytes: &[u8]) -> Result<Step, HeadError> {
    if bytes.get(12).is_some_and(|byte| byte >> 4 != 2) {
        return Err(HeadError::NoProxyHeader);
    }
    let Some([high, low]) = bytes.get(14..PREFIX) else {
        return Ok(Step::More(PREFIX - bytes.len()));
    };
    let length = PREFIX + usize::from(u16::from_be_bytes([*high, *low]));
    if length > PROXY_HEADER {
        return Err(HeadError::Malformed("length"));
    }
    let Some(header) = bytes.get(..length) else {
        return Ok(Step::More(length - bytes.len()));
    };
    let (command, family) = (bytes[12] & 0xF, bytes[13]);
    if family & 0xF == DGRAM {
        return Err(HeadError::Malformed("a connection carries no datagrams"));
    }
    let pair = addresses(command, family, &mut Rest(&header[PREFIX..]))?;
    Ok(Step::Whole(Announced::of(pair), length))
}

/// Version 1 (section 2.1). One byte too many would be the visitor's, so the line's end is looked for in small steps.
fn line(bytes: &[u8]) -> Result<Step, HeadError> {
    let within = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = within.iter().position(|byte| *byte == b'\n') else {
        let missing = match within {
            [.., b'\r'] => 1,
            _ => 2.max(SHORTEST.saturating_sub(within.len())),
        };
        return if within.len() + missing > LONGEST_LINE {
            Err(HeadError::Malformed("the line is too long"))
        } else {
            Ok(Step::More(missing))
        };
    };
    let line = bytes[..end]
        .strip_suffix(b"\r")
        .and_then(|line| std::str::from_utf8(line).ok())
        .ok_or(HeadError::Malformed("the line's end"))?;
    let announced = said(line).ok_or(HeadError::Malformed("the line"))?;
    Ok(Step::Whole(announced, end + 1))
}

/// The words of a line.
fn said(line: &str) -> Option<Announced> {
    let mut words = line.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(Announced::Nobody);
    }
    let mut ip = || -> Option<IpAddr> {
        let word = words.next()?;
        match family {
            "TCP4" => word.parse().map(|ip: Ipv4Addr| ip.into()).ok(),
            "TCP6" => word.parse().map(|ip: Ipv6Addr| ip.into()).ok(),
            _ => None,
        }
    };
    let (source, destination) = (ip()?, ip()?);
    let mut port = || -> Option<u16> {
        let word = words.next()?;
        let port: u16 = word.parse().ok()?;
        // No sign, and no zero in front.
        (port.to_string() == word).then_some(port)
    };
    let (source_port, destination_port) = (port()?, port()?);
    if words.next().is_some() {
        return None;
    }
    Some(Announced::of((
        (source, source_port).into(),
        (destination, destination_port).into(),
    )))
}

impl Announced {
    fn of((source, destination): (SocketAddr, SocketAddr)) -> Self {
        if source == UNSPECIFIED {
            return Self::Nobody;
        }
        // As everywhere else an IPv4 address in an IPv6 one is what it is.
        let plain = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
        Self::Visitor {
            source: plain(source),
            destination: plain(destination),
        }
    }
}

#[cfg(test)]
mod tests;
