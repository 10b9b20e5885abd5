//! What a session's bytes travel by, in whole buffers: several pieces for one read, one buffer for one write.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

/// Read buffer of a busy connection.
const READ_BUFFER: usize = 256 * 1024;
/// Read buffer until a read fills it: most sessions idle. A TLS record and its overhead fit.
const IDLE_READ_BUFFER: usize = 17 * 1024;

/// A connection whose bytes reach the peer in order.
pub(crate) trait Wire: Send + Unpin {
    /// Adds what has come to `pieces`, of which there is at least one then; false at the end.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &mut Vec<Bytes>,
    ) -> Poll<io::Result<bool>>;

    /// Ready when all of `bytes` has left. `sent` of them were taken by the calls before.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        sent: &mut usize,
    ) -> Poll<io::Result<()>>;

    /// Ends this side's direction.
    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Gives memory back that was not needed since the last call.
    fn trim(&mut self);
}

/// Any stream of bytes.
pub(super) struct Plain<I> {
    io: I,
    intake: Intake,
}

/// The buffer that is read into. What is taken out of it is not copied, so the buffer lives as long as the last piece of it;
/// while nothing comes there is none.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    buffer: BytesMut,
    /// A read filled the buffer since the last trim.
    filled: bool,
}

impl Intake {
    pub(crate) const fn new(buffer: BytesMut) -> Self {
        Self {
            buffer,
            filled: false,
        }
    }

    /// What was read and not taken yet.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    /// The first `length` bytes of that.
    pub(crate) fn take(&mut self, length: usize) -> Bytes {
        self.buffer.split_to(length).freeze()
    }

    /// Reads once and gives how many bytes came; none at the end.
    pub(crate) fn poll_read<I: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
    ) -> Poll<io::Result<usize>> {
        let wanted = if self.filled {
            READ_BUFFER
        } else {
            IDLE_READ_BUFFER
        };
        let room = |buffer: &BytesMut| buffer.capacity() - buffer.len();
        if room(&self.buffer) < wanted / 2 {
            self.buffer.reserve(wanted);
        }
        let room = room(&self.buffer);
        let read = poll_read_buf(Pin::new(io), cx, &mut self.buffer);
        match &read {
            Poll::Ready(Ok(length)) => self.filled |= *length == room,
            Poll::Pending if self.buffer.is_empty() && !self.filled => {
                self.buffer = BytesMut::new();
            }
            _ => {}
        }
        read
    }

    pub(crate) fn trim(&mut self) {
        if !std::mem::take(&mut self.filled) && self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }
}

impl<I> Plain<I> {
    pub(super) fn new(io: I) -> Self {
        Self {
            io,
            intake: Intake::default(),
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Send + Unpin> Wire for Plain<I> {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &mut Vec<Bytes>,
    ) -> Poll<io::Result<bool>> {
        let length = ready!(self.intake.poll_read(cx, &mut self.io))?;
        if length > 0 {
            pieces.push(self.intake.take(length));
        }
        Poll::Ready(Ok(length > 0))
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        sent: &mut usize,
    ) -> Poll<io::Result<()>> {
        while *sent < bytes.len() {
            match ready!(Pin::new(&mut self.io).poll_write(cx, &bytes[*sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => *sent += taken,
            }
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn trim(&mut self) {
        self.intake.trim();
    }
}
