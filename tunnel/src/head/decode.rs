//! From bytes to [`StreamHead`].

use std::net::{IpAddr, SocketAddr};

use super::{HeadError, PREFIX, SIGNATURE, StreamHead, UNSPECIFIED, tlv};
use crate::{
    bounds::{self, Bound},
    limits,
};

const CLIENT_SSL: u8 = 0x01;
/// The transport of datagrams.
pub(super) const DGRAM: u8 = 0x02;

/// The length of the whole head, as its first bytes tell; none when they are too few.
pub(super) fn length(bytes: &[u8]) -> Result<Option<usize>, HeadError> {
    let start = bytes.len().min(SIGNATURE.len());
    if bytes[..start] != SIGNATURE[..start] || bytes.get(12).is_some_and(|b| b >> 4 != 2) {
        return Err(HeadError::Signature);
    }
    let Some([high, low]) = bytes.get(14..PREFIX) else {
        return Ok(None);
    };
    let length = PREFIX + usize::from(u16::from_be_bytes([*high, *low]));
    if length > limits::STREAM_HEAD {
        bounds::hit(Bound::StreamHead);
        return Err(HeadError::TooLong(length));
    }
    Ok(Some(length))
}

pub(super) fn decode(bytes: &[u8]) -> Result<Option<(StreamHead, usize)>, HeadError> {
    let Some(length) = length(bytes)? else {
        return Ok(None);
    };
    let Some(bytes) = bytes.get(..length) else {
        return Ok(None);
    };
    let mut rest = Rest(&bytes[PREFIX..]);
    let (command, family) = (bytes[12] & 0xF, bytes[13]);
    let (source, destination) = addresses(command, family, &mut rest)?;
    let mut head = tlvs(source, destination, rest)?;
    head.datagrams = command == 1 && family & 0xF == DGRAM;
    Ok(Some((head, length)))
}

pub(super) fn addresses(
    command: u8,
    family: u8,
    rest: &mut Rest<'_>,
) -> Result<(SocketAddr, SocketAddr), HeadError> {
    let proxied = match command {
        0 => false,
        1 => true,
        _ => return Err(HeadError::Malformed("command")),
    };
    let pair = match family >> 4 {
        1 => pair::<4>(rest)?,
        2 => pair::<16>(rest)?,
        3 => {
            rest.take(UNIX_PAIR, "addresses")?;
            return Ok((UNSPECIFIED, UNSPECIFIED));
        }
        _ => return Ok((UNSPECIFIED, UNSPECIFIED)),
    };
    // Addresses of a LOCAL header are to be skipped.
    Ok(if proxied {
        pair
    } else {
        (UNSPECIFIED, UNSPECIFIED)
    })
}

/// Two paths of 108 bytes.
const UNIX_PAIR: usize = 216;

fn pair<const N: usize>(rest: &mut Rest<'_>) -> Result<(SocketAddr, SocketAddr), HeadError>
where
    IpAddr: From<[u8; N]>,
{
    let (source, destination) = (rest.array::<N>()?, rest.array::<N>()?);
    let mut port = || rest.array().map(u16::from_be_bytes);
    let (source_port, destination_port) = (port()?, port()?);
    Ok((
        SocketAddr::new(source.into(), source_port),
        SocketAddr::new(destination.into(), destination_port),
    ))
}

fn tlvs(
    source: SocketAddr,
    destination: SocketAddr,
    mut rest: Rest<'_>,
) -> Result<StreamHead, HeadError> {
    let mut head = StreamHead::new(source, destination, 0);
    let (mut bind, mut hops, mut ssl) = (None, None, None);
    while !rest.0.is_empty() {
        let [kind, high, low] = rest.array()?;
        let value = rest.take(usize::from(u16::from_be_bytes([high, low])), "TLV")?;
        match kind {
            tlv::ALPN => once(&mut head.alpn, value.into())?,
            tlv::AUTHORITY => once(&mut head.authority, text(value)?)?,
            tlv::UNIQUE_ID => once(&mut head.unique_id, value.into())?,
            tlv::SSL => once(&mut ssl, value.first().copied().unwrap_or_default())?,
            tlv::BIND => once(&mut bind, exactly(value)?)?,
            tlv::HOPS => once(&mut hops, exactly::<1>(value)?)?,
            _ => {}
        }
    }
    head.bind = u32::from_be_bytes(bind.ok_or(HeadError::Malformed("no bind id"))?);
    head.hops = hops.map_or(0, |[hops]| hops);
    head.tls = ssl.is_some_and(|client| client & CLIENT_SSL != 0);
    Ok(head)
}

/// A TLV that stands twice could mean one thing here and another elsewhere.
fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), HeadError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(HeadError::Malformed("a TLV stands twice")),
    }
}

fn exactly<const N: usize>(value: &[u8]) -> Result<[u8; N], HeadError> {
    value
        .try_into()
        .map_err(|_| HeadError::Malformed("length of a TLV"))
}

fn text(value: &[u8]) -> Result<String, HeadError> {
    String::from_utf8(value.into()).map_err(|_| HeadError::Malformed("authority is not UTF-8"))
}

pub(super) struct Rest<'a>(pub(super) &'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], HeadError> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(HeadError::Malformed(what))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], HeadError> {
        let (taken, rest) = self
            .0
            .split_first_chunk()
            .ok_or(HeadError::Malformed("too short"))?;
        self.0 = rest;
        Ok(*taken)
    }
}
