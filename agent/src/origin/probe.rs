//! Asks an origin once which HTTP it speaks, so that nobody has to say that a port is a gRPC server.
//!
//! Without TLS: the HTTP/2 preface is sent, and a server that speaks HTTP/2 answers with a SETTINGS frame first (RFC 9113,
//! section 3.4). A server of HTTP/1 says 400, or hangs up, or waits. With TLS: ALPN tells; an origin that takes both gets
//! HTTP/1.1, in which WebSockets work.

use std::{io, time::Duration};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tunnel::message::OriginProtocol;

use super::{Address, Origin, OriginTls, connect, trust::alpn};

/// A server that says nothing for this long waits for a request line: HTTP/1.
const PATIENCE: Duration = Duration::from_millis(1000);
/// The connection preface and an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The length of a frame's head (RFC 9113, section 4.1).
const FRAME_HEAD: usize = 9;
/// The longest SETTINGS frame that is believed: every setting there is, with room for new ones.
const MAX_SETTINGS: u32 = 1024;

#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("nothing answers at the origin yet: {0}")]
    Unreachable(#[from] io::Error),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

pub async fn probe(origin: &Origin, trust: &OriginTls) -> Result<OriginProtocol, ProbeError> {
    match origin {
        Origin::Tcp(address) => Ok(ask(connect::tcp(address).await?).await),
        Origin::Unix(path) => Ok(ask(connect::unix(path).await?).await),
        Origin::Tls(address) => ask_tls(address, trust).await,
        Origin::Directory(_) | Origin::Welcome => Ok(OriginProtocol::H1),
    }
}

async fn ask(mut io: impl AsyncRead + AsyncWrite + Unpin) -> OriginProtocol {
    let asking = async {
        io.write_all(PREFACE).await?;
        let mut head = [0; FRAME_HEAD];
        io.read_exact(&mut head).await.map(|_| head)
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(head)) if is_settings(head) => OriginProtocol::H2c,
        _ => OriginProtocol::H1,
    }
}

fn is_settings(head: [u8; FRAME_HEAD]) -> bool {
    let [a, b, c, kind, flags, stream @ ..] = head;
    let len = u32::from_be_bytes([0, a, b, c]);
    // Not an acknowledgement (flag 1): the server's own comes first.
    kind == 4 && flags & 1 == 0 && stream == [0; 4] && len <= MAX_SETTINGS && len.is_multiple_of(6)
}

async fn ask_tls(address: &Address, trust: &OriginTls) -> Result<OriginProtocol, ProbeError> {
    let (h1, h2) = (alpn(OriginProtocol::H1), alpn(OriginProtocol::H2c));
    if agreed(address, trust, &[h2, h1]).await?.as_deref() != Some(h2) {
        return Ok(OriginProtocol::H1);
    }
    // It may have preferred HTTP/2 where it speaks both; one that does not fails this handshake or picks nothing.
    match agreed(address, trust, &[h1]).await {
        Ok(Some(protocol)) if protocol == h1 => Ok(OriginProtocol::H1),
        _ => Ok(OriginProtocol::H2c),
    }
}

async fn agreed(
    address: &Address,
    trust: &OriginTls,
    offered: &[&[u8]],
) -> Result<Option<Vec<u8>>, ProbeError> {
    let stream = connect::tls(address, trust.client_config(offered)?).await?;
    Ok(stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(bytes: &'static [u8], hang_up: bool) -> OriginProtocol {
        let (near, mut far) = tokio::io::duplex(1024);
        let server = async move {
            let mut preface = vec![0; PREFACE.len()];
            far.read_exact(&mut preface).await.unwrap();
            far.write_all(bytes).await.unwrap();
            if !hang_up {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            found = ask(near) => found,
            () = async { server.await; std::future::pending().await } => unreachable!(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_settings_frame_means_http_2() {
        let settings = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";
        assert_eq!(answer(settings, false).await, OriginProtocol::H2c);
        for (bytes, hang_up) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], true),
            (b"", true),
            (b"", false),
            (b"\0\0\x06\x04", false),
            (b"\0\0\0\x04\x01\0\0\0\0", false),
            (b"SSH-2.0-OpenSSH_9.2\r\n", false),
        ] {
            assert_eq!(answer(bytes, hang_up).await, OriginProtocol::H1);
        }
    }
}
