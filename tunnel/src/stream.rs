//! One stream of a session, whatever carries it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::{Code, mux, quic::QuicStream, single::SingleStream};

/// Two independent directions of bytes.
///
/// Shutting down ends the own direction (half-close). An abort by the peer is an error that holds a
/// [`crate::StreamReset`], never an end. Dropping the stream before both directions have ended aborts what is left of it.
#[derive(Debug)]
pub struct Stream(Inner);

#[derive(Debug)]
enum Inner {
    Mux(mux::Stream),
    Quic(QuicStream),
    Single(SingleStream),
}

impl Stream {
    /// Sends the encoded head. What is written after it leaves together with it, or once the agent has answered it, as the
    /// binding has it.
    pub async fn send_head(&mut self, head: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Inner::Single(stream) => stream.send_head(head).await,
            Inner::Mux(_) | Inner::Quic(_) => self.write_all(head).await,
        }
    }

    /// Reads from `source`, a socket, straight to where the stream's bytes leave. Gives how many bytes it took, which `seen` is
    /// shown; none at the end of `source`. Takes no more than the peer has room for.
    pub fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        seen: impl FnOnce(&[u8]),
    ) -> Poll<Result<usize, Side>> {
        match &mut self.0 {
            Inner::Mux(stream) => stream.poll_fill(cx, source, seen),
            Inner::Quic(stream) => stream.poll_fill(cx, source, seen),
            Inner::Single(stream) => stream.poll_fill(cx, source, seen),
        }
    }

    /// Writes what has come to `sink`, from where it was received. Gives how many bytes that was; none at the end of the
    /// stream. What `sink` does not take stays with the stream.
    pub fn poll_drain<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<Result<usize, Side>> {
        match &mut self.0 {
            Inner::Mux(stream) => stream.poll_drain(cx, sink),
            Inner::Quic(stream) => stream.poll_drain(cx, sink),
            Inner::Single(stream) => stream.poll_drain(cx, sink),
        }
    }

    /// The number of a stream over QUIC, divided by four: without what tells who opened it, and in which directions.
    pub(crate) fn quic_index(&self) -> Option<u64> {
        match &self.0 {
            Inner::Quic(stream) => Some(stream.index()),
            Inner::Mux(_) | Inner::Single(_) => None,
        }
    }

    /// Aborts both directions: the peer sees [`crate::StreamReset`] with `code`.
    pub fn reset(&mut self, code: Code) {
        match &mut self.0 {
            Inner::Mux(stream) => stream.reset(code),
            Inner::Quic(stream) => stream.reset(code),
            Inner::Single(stream) => stream.reset(),
        }
    }
}

/// Which of two connected ends failed.
#[derive(Debug)]
pub enum Side {
    /// The stream of the session.
    Stream(io::Error),
    /// What it is connected with.
    Other(io::Error),
}

/// A sink that takes nothing of something will never take it.
pub(crate) fn not_zero(written: usize) -> io::Result<usize> {
    if written == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(written)
}

impl From<mux::Stream> for Stream {
    fn from(stream: mux::Stream) -> Self {
        Self(Inner::Mux(stream))
    }
}

impl From<SingleStream> for Stream {
    fn from(stream: SingleStream) -> Self {
        Self(Inner::Single(stream))
    }
}

impl From<QuicStream> for Stream {
    fn from(stream: QuicStream) -> Self {
        Self(Inner::Quic(stream))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Mux(stream) => Pin::new(stream).poll_read(cx, buf),
            Inner::Quic(stream) => Pin::new(stream).poll_read(cx, buf),
            Inner::Single(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Inner::Mux(stream) => Pin::new(stream).poll_write(cx, bytes),
            Inner::Quic(stream) => Pin::new(stream).poll_write(cx, bytes),
            Inner::Single(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Mux(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Quic(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Single(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Mux(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Quic(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Single(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
