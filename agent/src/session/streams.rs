//! Streams that the edge opens: their heads are read side by side, and each is offered to whoever accepts.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use tunnel::{Code, Limits, Side as End, StreamHead, Transport, datagram::Frames, limits};

use crate::{
    bounds::{self, Bound},
    copy::{Side, Visitor},
    shared::Shared,
    status::{Counted, Counters},
};

/// The head comes together with the first bytes; a stream without one is of no use to anyone.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a stream waits to be accepted: the status byte has to reach the edge in time.
const ACCEPT_TIMEOUT: Duration = limits::STATUS_WITHIN.saturating_sub(Duration::from_millis(500));
/// How long the edge may take to read one status byte before its stream is dropped.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

/// A stream that the edge opened for a visitor, to be accepted or refused. Dropping it aborts it.
#[derive(Debug)]
pub struct Incoming {
    head: StreamHead,
    stream: Stream,
}

/// An accepted stream. Ending one direction is a half-close; dropping it before both have ended is an abort.
#[derive(Debug)]
pub struct Stream {
    inner: tunnel::Stream,
    frames: Option<Frames>,
    slot: Slot,
}

/// Its place among the streams of the session.
#[derive(Debug)]
struct Slot {
    _permit: OwnedSemaphorePermit,
    counted: Counted,
    _tracked: TaskTrackerToken,
}

pub(super) struct Accepting {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) shared: Arc<Shared>,
    pub(super) limits: Limits,
    pub(super) streams: TaskTracker,
}

impl Accepting {
    /// Takes streams until the transport is closed.
    pub(super) async fn run(self, cancel: CancellationToken) {
        let at_once = self.limits.streams.saturating_add(self.limits.flows);
        let free = Arc::new(Semaphore::new(at_once as usize));
        loop {
            let stream = tokio::select! {
                () = cancel.cancelled() => return,
                stream = self.transport.accept() => stream,
            };
            // The control loop tells why a transport is lost.
            let Ok(mut stream) = stream else { return };
            let (shared, cancel) = (Arc::clone(&self.shared), cancel.clone());
            let Ok(permit) = Arc::clone(&free).try_acquire_owned() else {
                shared.counters.refused();
                bounds::hit(Bound::Streams);
                stream.reset(Code::StreamLimit);
                continue;
            };
            let slot = Slot {
                _permit: permit,
                counted: self.shared.counters.stream(),
                _tracked: self.streams.token(),
            };
            let stream = Stream {
                inner: stream,
                frames: None,
                slot,
            };
            let transport = Arc::clone(&self.transport);
            self.shared.tasks.spawn(async move {
                let offering = offer(stream, &*transport, &shared);
                let _ = cancel.run_until_cancelled(offering).await;
            });
        }
    }
}

async fn offer(mut stream: Stream, transport: &dyn Transport, shared: &Shared) {
    let head = tokio::time::timeout(HEAD_TIMEOUT, StreamHead::read(&mut stream.inner)).await;
    let head = match head {
        Ok(Ok(head)) => head,
        Ok(Err(error)) => return tracing::debug!(%error, "a stream without a head"),
        Err(_) => {
            bounds::hit(Bound::StreamHead);
            return tracing::debug!("a stream whose head did not come");
        }
    };
    if head.datagrams {
        // Before the status byte, after which the edge may send some.
        stream.frames = transport.frames(&stream.inner);
    }
    match tokio::time::timeout(ACCEPT_TIMEOUT, shared.incoming.reserve()).await {
        Ok(Ok(place)) => place.send(Incoming { head, stream }),
        Ok(Err(_)) | Err(_) => {
            shared.counters.refused();
            bounds::hit(Bound::Backlog);
            Incoming { head, stream }.refuse(Code::StreamLimit).await;
        }
    }
}

impl Incoming {
    pub const fn head(&self) -> &StreamHead {
        &self.head
    }

    /// The id of the bind that the stream is for.
    pub const fn bind(&self) -> u32 {
        self.head.bind
    }

    /// Tells the edge that what follows comes from the origin. Where the head says that the stream carries datagrams, some of
    /// them come in [`Stream::frames`].
    pub async fn accept(mut self) -> io::Result<Stream> {
        self.status(Code::Ok).await?;
        Ok(self.stream)
    }

    /// Tells the edge why the origin is not to be had. Nothing was delivered, so the edge may try elsewhere.
    pub async fn refuse(mut self, code: Code) {
        let told = async {
            self.status(code).await?;
            self.stream.shutdown().await
        };
        if let Err(error) = told.await {
            tracing::debug!(%error, "the edge did not hear a refusal");
        }
    }

    async fn status(&mut self, code: Code) -> io::Result<()> {
        let writing = async {
            let stream = &mut self.stream.inner;
            stream.write_all(&[code.into()]).await?;
            stream.flush().await
        };
        tokio::time::timeout(STATUS_TIMEOUT, writing)
            .await
            .unwrap_or_else(|_| {
                bounds::hit(Bound::Status);
                Err(io::ErrorKind::TimedOut.into())
            })
    }
}

impl Stream {
    /// Of a flow of datagrams, those that go in frames of their own; none where all go on the stream, and when they were
    /// taken before.
    pub fn frames(&mut self) -> Option<Frames> {
        self.frames.take()
    }

    pub(crate) fn counters(&self) -> Arc<Counters> {
        self.slot.counted.counters()
    }

    /// Aborts both directions; the edge and the visitor see a reset.
    pub fn reset(&mut self) {
        self.abort();
    }
}

impl Side for Stream {
    fn abort(&mut self) {
        self.inner.reset(Code::Aborted);
    }
}

impl Visitor for Stream {
    fn poll_fill<O: Side>(
        &mut self,
        cx: &mut Context<'_>,
        origin: &mut O,
        look: impl FnOnce(&[u8]),
    ) -> Poll<Result<usize, End>> {
        let filled = self.inner.poll_fill(cx, origin, look);
        if let Poll::Ready(Ok(sent)) = filled {
            self.slot.counted.sent(sent);
        }
        filled
    }

    fn poll_drain<O: Side>(
        &mut self,
        cx: &mut Context<'_>,
        origin: &mut O,
    ) -> Poll<Result<usize, End>> {
        let drained = self.inner.poll_drain(cx, origin);
        if let Poll::Ready(Ok(received)) = drained {
            self.slot.counted.received(received);
        }
        drained
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.slot.counted.received(buf.filled().len() - before);
        result
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = result {
            self.slot.counted.sent(written);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
