//! HTTP/1.1 or HTTP/2 in clear text, told apart by the first bytes (RFC 9113, section 3.3).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads until the bytes can be nothing but one of the two. An end counts as HTTP/1.1, which then sees it too.
pub(super) async fn is_h2<I: AsyncRead + Unpin>(io: &mut I) -> io::Result<(bool, Vec<u8>)> {
    let mut seen = Vec::with_capacity(PREFACE.len());
    while seen.len() < PREFACE.len() && PREFACE.starts_with(&seen) {
        let missing = (PREFACE.len() - seen.len()) as u64;
        if io.take(missing).read_buf(&mut seen).await? == 0 {
            return Ok((false, seen));
        }
    }
    Ok((seen == PREFACE, seen))
}

/// A connection whose first bytes were read already.
#[derive(Debug)]
pub(super) struct Rewound<I> {
    first: Vec<u8>,
    at: usize,
    inner: I,
}

impl<I> Rewound<I> {
    pub(super) fn new(first: Vec<u8>, inner: I) -> Self {
        Self {
            first,
            at: 0,
            inner,
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Rewound<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.at == self.first.len() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let part = buf.remaining().min(self.first.len() - self.at);
        buf.put_slice(&self.first[self.at..self.at + part]);
        self.at += part;
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Rewound<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    async fn sniffed(bytes: &[u8]) -> (bool, Vec<u8>) {
        let (mut near, mut far) = duplex(3);
        let sent = bytes.to_vec();
        tokio::spawn(async move { near.write_all(&sent).await });
        let (h2, first) = is_h2(&mut far).await.unwrap();
        let mut all = Vec::new();
        Rewound::new(first, far)
            .read_to_end(&mut all)
            .await
            .unwrap();
        (h2, all)
    }

    #[tokio::test]
    async fn no_byte_is_lost_however_they_come() {
        let h2 = [PREFACE, b"frames"].concat();
        for (bytes, expected) in [
            (&h2[..], true),
            (b"GET / HTTP/1.1\r\n\r\n", false),
            (b"PRI * HTTP/1.1\r\n\r\n", false),
            (b"PR", false),
            (b"", false),
        ] {
            assert_eq!(sniffed(bytes).await, (expected, bytes.to_vec()));
        }
    }
}
