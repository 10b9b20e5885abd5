//! What the listener knows about a visitor's connection.

use std::net::SocketAddr;

use model::{HostPattern, Hostname};

/// One visitor's connection.
#[derive(Clone, Debug)]
pub struct VisitorConnection {
    pub peer: SocketAddr,
    pub local: SocketAddr,
    /// None for clear text.
    pub tls: Option<TlsInfo>,
}

/// The TLS connection that ended at this edge.
#[derive(Clone, Debug)]
pub struct TlsInfo {
    pub sni: Option<Hostname>,
    pub alpn: Option<Vec<u8>>,
    /// The names in the certificate that was shown: what the visitor may ask for on this connection.
    pub covers: Vec<HostPattern>,
}

impl VisitorConnection {
    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    pub(super) fn default_port(&self) -> u16 {
        if self.tls.is_some() { 443 } else { 80 }
    }

    /// Whether the visitor may ask for `name` here (RFC 9110, section 7.4). Always so in clear text.
    pub(super) fn may_ask_for(&self, name: &Hostname) -> bool {
        self.tls
            .as_ref()
            .is_none_or(|tls| tls.covers.iter().any(|pattern| pattern.matches(name)))
    }

    pub(super) fn speaks_h2(&self) -> Option<bool> {
        self.tls
            .as_ref()
            .map(|tls| tls.alpn.as_deref() == Some(b"h2"))
    }
}
