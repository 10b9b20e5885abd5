//! The handle of one stream.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::coop::poll_proceed,
    time::Instant,
};

use super::shared::Shared;
use crate::Code;

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
