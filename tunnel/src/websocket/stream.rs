//! A WebSocket as a stream of bytes.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    Violation,
    receive::{Event, Receiver, Wanted},
    send::Sender,
};
use crate::stream::not_zero;

/// Frames without a byte of the tunnel that are read in one go, before other tasks have their turn.
const EMPTY_FRAMES: usize = 64;
/// Bytes read at a time: the buffer above is cleared for them first.
const READ: usize = 64 * 1024;
/// A close that says nothing is wrong (RFC 6455, section 7.4.1).
const NORMAL: u16 = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// The bytes of binary messages over `io`, behind the handshake.
pub(crate) struct WebSocket<I> {
    io: I,
    receiver: Receiver,
    sender: Sender,
    ended: bool,
}

impl<I: AsyncRead + AsyncWrite + Unpin> WebSocket<I> {
    pub(crate) const fn new(io: I, side: Side) -> Self {
        Self {
            io,
            receiver: Receiver::new(side),
            sender: Sender::new(side),
            ended: false,
        }
    }

    /// Writes what waits; pending while some of it does.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.sender.rest().is_empty() {
            let sent = ready!(Pin::new(&mut self.io).poll_write(cx, self.sender.rest()))?;
            self.sender.left(not_zero(sent)?);
        }
        Poll::Ready(Ok(()))
    }

    fn obey(&mut self, event: Event) {
        match event {
            Event::Ping(body) => self.sender.pong(body),
            Event::Close(code) => {
                self.sender.close(code);
                self.ended = true;
            }
        }
    }

    fn refuse(&mut self, violation: Violation) -> io::Error {
        self.sender.close(Some(violation.close_code()));
        self.ended = true;
        io::Error::new(io::ErrorKind::InvalidData, violation)
    }

    /// What was said while reading leaves as soon as it can; a failure shows when the mux writes.
    fn answer(&mut self, cx: &mut Context<'_>) {
        if !self.sender.rest().is_empty() && self.poll_send(cx).is_ready() {
            let _ = Pin::new(&mut self.io).poll_flush(cx);
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        for _ in 0..EMPTY_FRAMES {
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            match this.receiver.wanted() {
                Wanted::Body(length) => {
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    let room = length.min(buf.remaining()).min(READ);
                    let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
                    ready!(Pin::new(&mut this.io).poll_read(cx, &mut part))?;
                    let body = part.filled_mut();
                    let count = body.len();
                    if count == 0 {
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                    this.receiver.took(body);
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Wanted::Exactly(bytes) => {
                    let mut part = ReadBuf::new(bytes);
                    ready!(Pin::new(&mut this.io).poll_read(cx, &mut part))?;
                    let count = part.filled().len();
                    if count == 0 {
                        // Without a close: whoever is above knows whether that is an end.
                        return Poll::Ready(Ok(()));
                    }
                    match this.receiver.put(count) {
                        Ok(None) => {}
                        Ok(Some(event)) => this.obey(event),
                        Err(violation) => {
                            let error = this.refuse(violation);
                            this.answer(cx);
                            return Poll::Ready(Err(error));
                        }
                    }
                    this.answer(cx);
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        if self.sender.is_closed() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let taken = self.sender.body(bytes);
        // Begun at once: most frames leave in one write. What does not is sent by the next call, or a flush.
        match self.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sender.close(Some(NORMAL));
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<I> fmt::Debug for WebSocket<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
