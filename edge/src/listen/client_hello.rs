//! Looks at a TLS ClientHello without answering it, and keeps every byte for whoever does.

use std::io;

use model::Hostname;
use rustls::{CipherSuite, server::Acceptor};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::bounds::CLIENT_HELLO;

/// Bytes asked of the connection at a time: all of it, where it came in one piece.
const READ: usize = 4096;

/// Suites that mean nothing to older versions (RFC 8446, appendix B.4).
const TLS13: [CipherSuite; 3] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
];

/// A ClientHello was seen.
#[derive(Debug)]
pub(super) struct Peeked {
    /// All that was read.
    pub(super) bytes: Vec<u8>,
    /// Whom the visitor wants to speak to, if he said so in a way that can be read.
    pub(super) name: Option<Hostname>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum PeekError {
    #[error("the visitor left before the end of the ClientHello")]
    Left,
    #[error("a ClientHello has at most {CLIENT_HELLO} bytes")]
    TooLong,
    /// Someone typed `http://` for `https://`.
    #[error("this is HTTP in the clear")]
    Plain,
    #[error("this is not TLS: {error}")]
    NotTls {
        error: rustls::Error,
        /// What to say before closing.
        alert: Vec<u8>,
    },
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

/// Collects bytes until they are a ClientHello.
pub(super) struct Peek {
    acceptor: Acceptor,
    bytes: Vec<u8>,
    /// How many of them the acceptor has.
    fed: usize,
}

pub(super) async fn peek<I: AsyncRead + Unpin>(io: &mut I) -> Result<Peeked, PeekError> {
    let mut peek = Peek::new();
    let mut buffer = [0; READ];
    loop {
        let read = io.read(&mut buffer).await?;
        if read == 0 {
            return Err(PeekError::Left);
        }
        if let Some(name) = peek.push(&buffer[..read])? {
            return Ok(Peeked {
                bytes: peek.bytes,
                name: name.0,
            });
        }
    }
}

/// Whether the client of a whole ClientHello speaks TLS 1.3.
pub(super) fn offers_tls13(hello: &[u8]) -> bool {
    let (mut acceptor, mut rest) = (Acceptor::default(), hello);
    while !rest.is_empty() && acceptor.read_tls(&mut rest).is_ok() {
        if let Ok(Some(accepted)) = acceptor.accept() {
            let hello = accepted.client_hello();
            let suites = hello.cipher_suites();
            return suites.iter().any(|suite| TLS13.contains(suite));
        }
    }
    false
}

/// Whether what comes in these pieces is a whole ClientHello; for fuzz targets.
pub fn is_client_hello<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let mut peek = Peek::new();
    for piece in pieces {
        match peek.push(piece) {
            Ok(None) => {}
            Ok(Some(_)) => return true,
            Err(_) => return false,
        }
    }
    false
}

/// The server name of a whole ClientHello.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerName(pub(super) Option<Hostname>);

impl Peek {
    pub(super) fn new() -> Self {
        Self {
            acceptor: Acceptor::default(),
            bytes: Vec::new(),
            fed: 0,
        }
    }

    /// None until the ClientHello is whole.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Option<ServerName>, PeekError> {
        self.bytes.extend_from_slice(bytes);
        match looks_like_http(&self.bytes) {
            Some(true) => Err(PeekError::Plain),
            Some(false) => self.feed(),
            None => Ok(None),
        }
    }

    fn feed(&mut self) -> Result<Option<ServerName>, PeekError> {
        let mut rest = &self.bytes[self.fed..];
        self.fed = self.bytes.len();
        while !rest.is_empty() {
            self.acceptor.read_tls(&mut rest)?;
            match self.acceptor.accept() {
                Ok(Some(accepted)) => {
                    let hello = accepted.client_hello();
                    return Ok(Some(ServerName(
                        hello.server_name().and_then(|name| name.parse().ok()),
                    )));
                }
                Ok(None) => {}
                Err((error, mut alert)) => {
                    let mut bytes = Vec::new();
                    alert.write_all(&mut bytes)?;
                    return Err(PeekError::NotTls {
                        error,
                        alert: bytes,
                    });
                }
            }
        }
        if self.bytes.len() >= CLIENT_HELLO {
            return Err(PeekError::TooLong);
        }
        Ok(None)
    }
}

/// None while it cannot be told. No record of TLS begins with a letter.
fn looks_like_http(bytes: &[u8]) -> Option<bool> {
    let methods = ["GET ", "POST ", "HEAD ", "PUT ", "PRI ", "OPTIONS "];
    if methods
        .iter()
        .any(|method| bytes.starts_with(method.as_bytes()))
    {
        return Some(true);
    }
    let may_become = methods
        .iter()
        .any(|method| method.as_bytes().starts_with(bytes));
    if may_become { None } else { Some(false) }
}

#[cfg(test)]
mod tests;
