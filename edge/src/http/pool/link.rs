//! What is known of one connection to an origin, beside the connection itself, which hyper owns.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::lock;
use crate::http::{OriginError, OriginIo};

#[derive(Debug)]
pub(super) struct Link {
    /// A request was given up: the stream is to be reset, not ended.
    given_up: AtomicBool,
    failure: OnceLock<OriginError>,
    usage: Mutex<Usage>,
    /// Streams that the origin takes at a time; only for HTTP/2.
    streams: AtomicUsize,
}

#[derive(Debug)]
struct Usage {
    active: usize,
    idle_since: Instant,
}

/// The stream of a connection; tells its link why it failed.
pub(super) struct LinkIo {
    inner: OriginIo,
    link: Arc<Link>,
}

impl Link {
    /// In use by one request.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            given_up: AtomicBool::new(false),
            failure: OnceLock::new(),
            usage: Mutex::new(Usage {
                active: 1,
                idle_since: Instant::now(),
            }),
            streams: AtomicUsize::new(usize::MAX),
        })
    }

    pub(super) fn io(self: &Arc<Self>, inner: OriginIo) -> LinkIo {
        LinkIo {
            inner,
            link: self.clone(),
        }
    }

    pub(super) fn failure(&self) -> Option<OriginError> {
        self.failure.get().copied()
    }

    pub(super) fn give_up(&self) {
        self.given_up.store(true, Relaxed);
    }

    pub(super) fn allow_streams(&self, streams: usize) {
        self.streams.store(streams, Relaxed);
    }

    /// At least one: an origin that allows none now will allow some later.
    pub(super) fn allowed_streams(&self) -> usize {
        self.streams.load(Relaxed).max(1)
    }

    pub(super) fn active(&self) -> usize {
        lock(&self.usage).active
    }

    pub(super) fn begin(&self) {
        lock(&self.usage).active += 1;
    }

    pub(super) fn end(&self) {
        let mut usage = lock(&self.usage);
        usage.active = usage.active.saturating_sub(1);
        usage.idle_since = Instant::now();
    }

    pub(super) fn is_idle_for(&self, limit: Duration) -> bool {
        let usage = lock(&self.usage);
        usage.active == 0 && usage.idle_since + limit <= Instant::now()
    }

    /// When to look again whether the connection is idle.
    pub(super) fn idle_deadline(&self, limit: Duration) -> Instant {
        let usage = lock(&self.usage);
        let since = if usage.active == 0 {
            usage.idle_since
        } else {
            Instant::now()
        };
        since + limit
    }
}

impl LinkIo {
    fn noted<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            // The first reason is the one that counts, and it may be set already.
            let _ = self.link.failure.set(OriginError::of(error));
        })
    }
}

impl AsyncRead for LinkIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        Poll::Ready(self.noted(result))
    }
}

impl AsyncWrite for LinkIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes));
        Poll::Ready(self.noted(result))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, slices));
        Poll::Ready(self.noted(result))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.inner).poll_flush(cx));
        Poll::Ready(self.noted(result))
    }

    /// hyper ends a stream in the same way whether its request was answered or given up. The origin must see the difference:
    /// a stream that is dropped without an end is reset.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.link.given_up.load(Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
