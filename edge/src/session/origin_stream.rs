//! A stream to an origin without the protocol's status byte: who reads sees the origin's bytes, or why there are none.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep_until},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tunnel::{
    Code, Side, Stream, StreamReset, TransportError, datagram::Frames, limits::STATUS_WITHIN,
};

use crate::{
    http::OriginError,
    metrics::{Hit, Metrics},
    usage::Flow,
};

/// A stream whose head is sent.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) stream: Stream,
    /// For a flow of datagrams, where the agent takes frames.
    pub(super) frames: Option<Frames>,
    pub(super) slot: Slot,
    pub(super) since: Instant,
}

/// One of the session's streams.
#[derive(Debug)]
pub(super) struct Slot {
    _permit: OwnedSemaphorePermit,
    metrics: Metrics,
}

impl Slot {
    pub(super) fn new(permit: OwnedSemaphorePermit, metrics: Metrics) -> Self {
        metrics.streams.inc();
        Self {
            _permit: permit,
            metrics,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.metrics.streams.dec();
    }
}

#[derive(Debug)]
pub(crate) struct OriginStream {
    stream: Stream,
    answer: Answer,
    cut: CancellationToken,
    when_cut: Pin<Box<WaitForCancellationFutureOwned>>,
    slot: Slot,
    since: Instant,
    usage: Flow,
}

/// The agent's word on the stream.
#[derive(Debug)]
enum Answer {
    Awaited(Pin<Box<Sleep>>),
    Accepted,
    Failed(OriginError),
}

impl OriginStream {
    /// `cut` aborts it.
    pub(super) fn new(opened: Opened, cut: CancellationToken, usage: Flow) -> Self {
        Self {
            stream: opened.stream,
            answer: Answer::Awaited(Box::pin(sleep_until(opened.since + STATUS_WITHIN))),
            when_cut: Box::pin(cut.clone().cancelled_owned()),
            cut,
            slot: opened.slot,
            since: opened.since,
            usage,
        }
    }

    /// Waits for the agent's word, in spite of what it may have sent behind it.
    pub(crate) async fn answered(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_answered(cx, |_, _| Poll::Ready(Ok(())))).await
    }

    /// Reads from `visitor` straight to where the tunnel's bytes leave; 0 at his end.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        visitor: &mut TcpStream,
    ) -> Poll<io::Result<usize>> {
        let filled = self.stream.poll_fill(cx, visitor, |_| ());
        if let Poll::Ready(Ok(bytes)) = filled {
            self.usage.up(bytes);
        }
        filled.map_err(either)
    }

    /// Writes what the origin sent straight to `visitor`; 0 at its end.
    pub(crate) fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        visitor: &mut TcpStream,
    ) -> Poll<io::Result<usize>> {
        let drained = self.poll_answered(cx, |stream, cx| {
            stream.poll_drain(cx, visitor).map_err(either)
        });
        if let Poll::Ready(Ok(bytes)) = drained {
            self.usage.down(bytes);
        }
        drained
    }

    /// Does `read` once the agent has accepted, unless the stream is cut.
    fn poll_answered<T>(
        &mut self,
        cx: &mut Context<'_>,
        read: impl FnOnce(&mut Stream, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.cut.is_cancelled() {
            return self.fail(OriginError::Gone, Code::Aborted);
        }
        let read = match self.poll_answer(cx) {
            Poll::Ready(Ok(())) => read(&mut self.stream, cx),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        if read.is_pending() && self.when_cut.as_mut().poll(cx).is_ready() {
            return self.fail(OriginError::Gone, Code::Aborted);
        }
        read
    }

    fn fail<T>(&mut self, error: OriginError, code: Code) -> Poll<io::Result<T>> {
        self.answer = Answer::Failed(error);
        self.stream.reset(code);
        Poll::Ready(Err(io::Error::other(error)))
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let deadline = match &mut self.answer {
            Answer::Accepted => return Poll::Ready(Ok(())),
            Answer::Failed(error) => return Poll::Ready(Err(io::Error::other(*error))),
            Answer::Awaited(deadline) => deadline,
        };
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Pending => {
                ready!(deadline.as_mut().poll(cx));
                self.slot.metrics.hit(Hit::StatusTime);
                self.fail(OriginError::Timeout, Code::Timeout)
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(explained(error))),
            Poll::Ready(Ok(())) => match buffer.filled().first() {
                Some(0) => {
                    self.slot.metrics.stream_accepted(self.since.elapsed());
                    self.answer = Answer::Accepted;
                    Poll::Ready(Ok(()))
                }
                Some(code) => self.fail(Code::of_stream((*code).into()).into(), Code::Aborted),
                None => self.fail(OriginError::Aborted, Code::Aborted),
            },
        }
    }
}

impl AsyncRead for OriginStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = this.poll_answered(cx, |stream, cx| {
            Pin::new(stream).poll_read(cx, buf).map_err(explained)
        });
        this.usage.down(buf.filled().len() - before);
        read
    }
}

impl AsyncWrite for OriginStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(bytes)) = written {
            self.usage.up(bytes);
        }
        written.map_err(explained)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx).map_err(explained)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = Pin::new(&mut self.stream);
        stream.poll_shutdown(cx).map_err(explained)
    }
}

fn either(side: Side) -> io::Error {
    match side {
        Side::Stream(error) => explained(error),
        Side::Other(error) => error,
    }
}

/// The same failure in the words of [`OriginError`].
fn explained(error: io::Error) -> io::Error {
    if TransportError::of(&error).is_some() {
        return io::Error::new(error.kind(), OriginError::Gone);
    }
    match StreamReset::of(&error) {
        Some(reset) => io::Error::new(error.kind(), OriginError::from(reset.code)),
        None => error,
    }
}
