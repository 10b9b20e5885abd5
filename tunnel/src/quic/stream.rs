//! A QUIC stream that never turns an abort into an end: quinn's own half finishes when it is dropped.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use quinn::{ReadError, RecvStream, SendStream, WriteError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{ended, number};
use crate::{Code, StreamReset};

#[derive(Debug)]
pub struct QuicStream {
    send: SendStream,
    recv: RecvStream,
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
            sent: false,
            received: false,
        }
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
        let send = Pin::new(&mut self.get_mut().send);
        send.poll_write(cx, bytes).map_err(write_error)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
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
