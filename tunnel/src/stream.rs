//! One stream of a session, whatever carries it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{Code, mux, quic::QuicStream};

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
}

impl Stream {
    /// Aborts both directions: the peer sees [`crate::StreamReset`] with `code`.
    pub fn reset(&mut self, code: Code) {
        match &mut self.0 {
            Inner::Mux(stream) => stream.reset(code),
            Inner::Quic(stream) => stream.reset(code),
        }
    }
}

impl From<mux::Stream> for Stream {
    fn from(stream: mux::Stream) -> Self {
        Self(Inner::Mux(stream))
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
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Mux(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Quic(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Mux(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Quic(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
