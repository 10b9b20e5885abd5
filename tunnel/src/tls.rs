//! TLS 1.3 of the tunnel leg: the handshake is rustls's, the records behind it are sealed and opened here, in place.
//!
//! A record layer that hands out owned copies of every record costs a quarter of the bulk speed of an edge
//! (docs/decisions/0016). This one seals from the buffer of the mux into the one that is written, and opens where the bytes
//! were read. Everything that makes TLS hard stays with rustls: the handshake, certificates, tickets and the key schedule,
//! whose next keys it also derives ([`rustls::kernel`]).

mod export;
mod handshake;
mod key;
mod record;
mod stream;
#[cfg(test)]
mod tests;

use rustls::{
    CipherSuite, SupportedCipherSuite,
    crypto::{CryptoProvider, aws_lc_rs},
};

pub use self::{
    handshake::{accept, connect},
    stream::TlsStream,
};

/// aws-lc-rs, with AES-128-GCM first on the tunnel leg: AES-256 takes up to a third more time for each byte and protects no
/// better against anyone there is. The rest is as rustls has it.
pub fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    let first =
        |suite: &SupportedCipherSuite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.sort_by_key(first);
    provider
}

/// Why a connection cannot begin or go on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Handshake(#[from] rustls::Error),
    #[error("the peer left during the handshake")]
    Left,
    #[error("TLS 1.3 was not agreed on")]
    Version,
    #[error("the peer's TLS ended the connection with alert {0}")]
    Alert(u8),
    #[error("the peer broke TLS: {0}")]
    Broken(Fault),
    #[error("a key cannot be used: the cryptographic library refused")]
    Key,
}

/// What the peer did that TLS does not allow, or what somebody in between did to its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("a record that cannot be authenticated")]
    BadRecord,
    #[error("a record that is too long")]
    TooLong,
    #[error("a message that has no place here")]
    Unexpected,
    #[error("a message that cannot be read")]
    Unreadable,
    #[error("too many messages of TLS without a byte of content")]
    Flood,
}

impl Fault {
    /// The alert that tells the peer (RFC 8446, section 6.2).
    const fn alert(self) -> u8 {
        match self {
            Self::Unexpected | Self::Flood => 10,
            Self::BadRecord => 20,
            Self::TooLong => 22,
            Self::Unreadable => 50,
        }
    }
}

impl From<Fault> for TlsError {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}

impl From<TlsError> for std::io::Error {
    fn from(error: TlsError) -> Self {
        let kind = match error {
            TlsError::Left => std::io::ErrorKind::UnexpectedEof,
            _ => std::io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
