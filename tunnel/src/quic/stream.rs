//! A QUIC stream that never turns an abort into an end: quinn's own half finishes when it is dropped.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use quinn::{ReadError, RecvStream, SendStream, WriteError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{ended, number};
use crate::{
    Code, StreamReset,
    stream::{Side, not_zero},
};

/// What one call moves: more than that is under way in few sockets, and it stays in the cache.
const AT_ONCE: usize = 64 * 1024;

thread_local! {
    /// Shared by all streams of a thread, and only filled within one poll.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; AT_ONCE].into());
}

#[derive(Debug)]
pub struct QuicStream {
    send: SendStream,
    recv: RecvStream,
    /// Taken of a source, and not by quinn yet; empty unless the connection is what holds it up.
    to_send: Bytes,
    /// Taken of quinn, and not by a sink yet; empty unless the sink is what holds it up.
    to_read: Bytes,
    /// This side has ended its direction, one way or the other.
    sent: bool,
    /// The peer's end, or its abort, has been seen.
    received: bool,
}

impl QuicStream {
    pub(super) const fn new(send: SendStream, recv: RecvStream) -> Self {
        Self {
            send,
            recv,
            to_send: Bytes::new(),
            to_read: Bytes::new(),
            sent: false,
            received: false,
        }
    }

    pub(crate) fn index(&self) -> u64 {
        self.send.id().index()
    }

    /// See [`crate::Stream::poll_fill`].
    pub(crate) fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        seen: impl FnOnce(&[u8]),
    ) -> Poll<Result<usize, Side>> {
        ready!(self.poll_send_rest(cx)).map_err(Side::Stream)?;
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(source).poll_read(cx, &mut buffer)).map_err(Side::Other)?;
            let bytes = buffer.filled();
            seen(bytes);
            let mut rest = bytes;
            while !rest.is_empty() {
                match Pin::new(&mut self.send).poll_write(cx, rest) {
                    Poll::Ready(taken) => {
                        rest = &rest[taken.map_err(|e| Side::Stream(write_error(e)))?..];
                    }
                    Poll::Pending => {
                        self.to_send = Bytes::copy_from_slice(rest);
                        break;
                    }
                }
            }
            Poll::Ready(Ok(bytes.len()))
        })
    }

    /// See [`crate::Stream::poll_drain`].
    pub(crate) fn poll_drain<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<Result<usize, Side>> {
        if !self.to_read.is_empty() {
            let taken = ready!(Pin::new(sink).poll_write(cx, &self.to_read));
            let taken = taken.and_then(not_zero).map_err(Side::Other)?;
            self.to_read.advance(taken);
            return Poll::Ready(Ok(taken));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *self).poll_read(cx, &mut buffer)).map_err(Side::Stream)?;
            let bytes = buffer.filled();
            if bytes.is_empty() {
                return Poll::Ready(Ok(0));
            }
            let taken = match Pin::new(sink).poll_write(cx, bytes) {
                Poll::Ready(taken) => taken.and_then(not_zero).map_err(Side::Other)?,
                Poll::Pending => 0,
            };
            self.to_read = Bytes::copy_from_slice(&bytes[taken..]);
            if taken == 0 {
                return Poll::Pending;
            }
            Poll::Ready(Ok(taken))
        })
    }

    fn poll_send_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.to_send.is_empty() {
            let taken = ready!(Pin::new(&mut self.send).poll_write(cx, &self.to_send));
            self.to_send.advance(taken.map_err(write_error)?);
        }
        self.to_send = Bytes::new();
        Poll::Ready(Ok(()))
    }

    pub(crate) fn reset(&mut self, code: Code) {
        // What is over already needs no abort; that is all that these errors say. A direction that was finished but not
        // yet delivered is aborted too.
        let _ = self.send.reset(number(code));
        let _ = self.recv.stop(number(code));
        (self.sent, self.received) = (true, true);
    }
}

impl Drop for QuicStream {
    fn drop(&mut self) {
        let code = number(Code::Aborted);
        if !self.sent {
            let _ = self.send.reset(code);
        }
        if !self.received {
            let _ = self.recv.stop(code);
        }
    }
}

impl AsyncRead for QuicStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.to_read.is_empty() {
            let taken = this.to_read.len().min(buf.remaining());
            buf.put_slice(&this.to_read.split_to(taken));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let result = ready!(this.recv.poll_read_buf(cx, buf)).map_err(read_error);
        this.received |= result.is_err() || (buf.filled().len() == before && buf.remaining() > 0);
        Poll::Ready(result)
    }
}

impl AsyncWrite for QuicStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send_rest(cx))?;
        let send = Pin::new(&mut this.send);
        send.poll_write(cx, bytes).map_err(write_error)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send_rest(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.sent {
            ready!(self.poll_send_rest(cx))?;
        }
        // Ending twice is no mistake.
        let _ = self.send.finish();
        self.sent = true;
        Poll::Ready(Ok(()))
    }
}

fn read_error(error: ReadError) -> io::Error {
    match error {
        ReadError::Reset(code) => reset(code),
        ReadError::ConnectionLost(error) => ended(error).into(),
        other => io::Error::new(io::ErrorKind::NotConnected, other),
    }
}

fn write_error(error: WriteError) -> io::Error {
    match error {
        WriteError::Stopped(code) => reset(code),
        WriteError::ConnectionLost(error) => ended(error).into(),
        other => io::Error::new(io::ErrorKind::BrokenPipe, other),
    }
}

fn reset(code: quinn::VarInt) -> io::Error {
    let code = Code::of_stream(code.into_inner());
    StreamReset { code }.into()
}
