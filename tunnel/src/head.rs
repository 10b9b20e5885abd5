//! The stream head: who is visiting, as a PROXY protocol header of version 2 (haproxy's proxy-protocol.txt, section 2.2).

mod announced;
mod decode;
mod encode;
mod origin;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
};

use tokio::io::{AsyncRead, AsyncReadExt};

pub use announced::{Announced, Step as AnnouncedStep};

use crate::limits;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length.
const PREFIX: usize = 16;
/// The longest values of TLVs that we write; together they stay within [`limits::STREAM_HEAD`].
const MAX_ALPN: usize = 255;
const MAX_AUTHORITY: usize = 255;
const MAX_UNIQUE_ID: usize = 128;

/// Types of TLVs (section 2.2 of the PROXY protocol; 0xE0 to 0xEF are for applications).
mod tlv {
    pub(super) const ALPN: u8 = 0x01;
    pub(super) const AUTHORITY: u8 = 0x02;
    pub(super) const UNIQUE_ID: u8 = 0x05;
    pub(super) const SSL: u8 = 0x20;
    pub(super) const BIND: u8 = 0xE0;
    pub(super) const HOPS: u8 = 0xE1;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHead {
    /// The visitor; [`UNSPECIFIED`] when the edge itself is asking or the family has no addresses.
    pub source: SocketAddr,
    /// What the visitor connected to.
    pub destination: SocketAddr,
    /// The stream carries datagrams ([`crate::datagram`]), not bytes.
    pub datagrams: bool,
    pub alpn: Option<Vec<u8>>,
    /// SNI or Host in the visitor's own words.
    pub authority: Option<String>,
    /// The trace id.
    pub unique_id: Option<Vec<u8>>,
    /// The visitor came over TLS, which the edge has ended.
    pub tls: bool,
    /// The bind that the stream is for, in the edge's words.
    pub bind: u32,
    /// Edges behind the first that the stream has passed.
    pub hops: u8,
}

/// Stands for "no address".
pub const UNSPECIFIED: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("a stream begins with a PROXY protocol header of version 2")]
    Signature,
    #[error("a stream head has at most {max} bytes, this one has {0}", max = limits::STREAM_HEAD)]
    TooLong(usize),
    #[error("a connection of a load balancer begins with a PROXY protocol header")]
    NoProxyHeader,
    #[error("the header is malformed: {0}")]
    Malformed(&'static str),
}

impl StreamHead {
    /// A head with nothing but addresses and the bind.
    pub const fn new(source: SocketAddr, destination: SocketAddr, bind: u32) -> Self {
        Self {
            source,
            destination,
            datagrams: false,
            alpn: None,
            authority: None,
            unique_id: None,
            tls: false,
            bind,
            hops: 0,
        }
    }

    /// As bytes. A TLV that is longer than its bound is left out: it is the visitor's word, and the head must fit.
    pub fn encode(&self) -> Vec<u8> {
        encode::encode(self)
    }

    /// The head at the start of `bytes` and its length; none when more bytes are needed to tell.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, HeadError> {
        decode::decode(bytes)
    }

    /// Reads the head and not a byte more.
    pub async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Self> {
        let mut bytes = vec![0; PREFIX];
        stream.read_exact(&mut bytes).await?;
        let length = decode::length(&bytes).map_err(invalid)?.unwrap_or(PREFIX);
        bytes.resize(length, 0);
        stream.read_exact(&mut bytes[PREFIX..]).await?;
        match Self::decode(&bytes).map_err(invalid)? {
            Some((head, _)) => Ok(head),
            None => Err(invalid(HeadError::Malformed("length"))),
        }
    }
}

fn invalid(error: HeadError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests;
