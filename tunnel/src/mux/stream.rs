//! The handle of one stream.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, buf::Limit};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::coop::poll_proceed,
    time::Instant,
};

use tokio_util::io::poll_read_buf;

use super::shared::Shared;
use crate::{
    Code,
    stream::{Side, not_zero},
};

/// Pieces of one write: with the longest ones half a megabyte, more than a socket takes.
const PIECES: usize = 32;

/// Two independent directions of bytes. The peer learns of a stream that was opened here when it is first written, read,
/// flushed or shut down.
///
/// Dropping it before both directions have ended aborts what is left of it.
#[derive(Debug)]
pub struct Stream {
    id: u32,
    shared: Arc<Shared>,
}

impl Stream {
    pub(super) const fn new(id: u32, shared: Arc<Shared>) -> Self {
        Self { id, shared }
    }

    /// The stream's number on the wire, for logs.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Reads from `source` straight into the buffer that the connection is written from. Gives how many bytes it took; none at
    /// the end of `source`. The session stands still meanwhile, so `source` must be a socket, never another stream.
    pub(crate) fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        seen: impl FnOnce(&[u8]),
    ) -> Poll<Result<usize, Side>> {
        let fill = |cx: &mut Context<'_>, space: &mut Limit<&mut Vec<u8>>| {
            let before = space.get_ref().len();
            ready!(poll_read_buf(Pin::new(source), cx, space))?;
            seen(&space.get_ref()[before..]);
            Poll::Ready(Ok(()))
        };
        let filled = self
            .shared
            .with(|session| session.poll_fill(self.id, cx, fill));
        match ready!(filled) {
            Ok(filled) => Poll::Ready(filled.map_err(Side::Other)),
            Err(broken) => Poll::Ready(Err(Side::Stream(broken.into()))),
        }
    }

    /// Writes what has come to `sink`, from where it was received. Gives how many bytes that was; none at the end of the stream.
    pub(crate) fn poll_drain<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<Result<usize, Side>> {
        let mut pieces = [const { Bytes::new() }; PIECES];
        let waker = cx.waker();
        let peeked = self
            .shared
            .with(|session| session.poll_peek(self.id, &mut pieces, waker));
        let count = ready!(peeked).map_err(|broken| Side::Stream(broken.into()))?;
        if count == 0 {
            return Poll::Ready(Ok(0));
        }
        let mut slices = [IoSlice::new(&[]); PIECES];
        for (slice, piece) in slices.iter_mut().zip(&pieces[..count]) {
            *slice = IoSlice::new(piece);
        }
        let wrote = ready!(Pin::new(sink).poll_write_vectored(cx, &slices[..count]));
        let wrote = wrote.and_then(not_zero).map_err(Side::Other)?;
        drop(pieces);
        let now = Instant::now().into_std();
        self.shared
            .with(|session| session.consume(self.id, wrote, now));
        Poll::Ready(Ok(wrote))
    }

    /// Aborts both directions: the peer sees [`crate::StreamReset`] with `code`.
    pub fn reset(&mut self, code: Code) {
        self.shared.with(|session| session.reset(self.id, code));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.with(|session| session.forget(self.id));
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let turn = ready!(poll_proceed(cx));
        let now = Instant::now().into_std();
        let read = self
            .shared
            .with(|session| session.poll_read(self.id, buf, cx.waker(), now));
        if read.is_ready() {
            turn.made_progress();
        }
        read.map_err(io::Error::from)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let turn = ready!(poll_proceed(cx));
        let wrote = self
            .shared
            .with(|session| session.poll_write(self.id, bytes, cx.waker()));
        if wrote.is_ready() {
            turn.made_progress();
        }
        wrote.map_err(io::Error::from)
    }

    /// The driver writes by itself what was taken; there is nothing to wait for.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.shared.with(|session| session.flush(self.id));
        Poll::Ready(flushed.map_err(io::Error::from))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = self.shared.with(|session| session.shutdown(self.id));
        Poll::Ready(ended.map_err(io::Error::from))
    }
}
