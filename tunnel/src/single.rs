//! The binding without a mux: one HTTP request, one connection of a visitor. Its TLS connection is the stream.

mod ask;

use std::{
    any::Any,
    fmt, io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use http::HeaderName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

pub use self::ask::{Ask, AskError};
use crate::{
    TransportError,
    stream::{Side, not_zero},
};

/// The protocol behind the upgrade.
pub const TOKEN: &str = "adit-single";
/// Names what is bound: one `bind` as JSON.
pub const BIND: HeaderName = HeaderName::from_static("adit-bind");

/// Bytes that are moved between two sockets at a time: a TLS record.
const CHUNK: usize = 16 * 1024;

trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// The edge's end of such a connection, behind the `101`. Dropped before both directions have ended, it closes without
/// `close_notify`, which the agent takes for an abort.
pub struct SingleStream {
    /// None after a reset.
    io: Option<Pin<Box<dyn Duplex>>>,
    gate: Gate,
    to_agent: Rest,
    to_visitor: Rest,
    when_cut: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Freed with the stream.
    _held: Box<dyn Any + Send + Sync>,
}

/// Bytes that were read and could not be written yet.
#[derive(Debug, Default)]
struct Rest {
    bytes: Vec<u8>,
    written: usize,
}

/// Holds the visitor's bytes back until the agent has answered the head: nothing is lost with an agent that went away while
/// it waited. Whoever reads and whoever writes may be different tasks, and each needs the answer.
#[derive(Debug)]
enum Gate {
    Closed {
        reader: Option<Waker>,
        writer: Option<Waker>,
    },
    /// The agent's first byte, or its end; the next read gives it.
    Answered(Option<u8>),
    Open,
}

#[derive(Clone, Copy)]
enum Who {
    Reader,
    Writer,
}

impl SingleStream {
    /// `cut` ends the stream with its session; `held` is dropped with the stream.
    pub fn new<I>(io: I, cut: CancellationToken, held: impl Any + Send + Sync) -> Self
    where
        I: AsyncRead + AsyncWrite + Send + 'static,
    {
        Self {
            io: Some(Box::pin(io)),
            gate: Gate::Open,
            to_agent: Rest::default(),
            to_visitor: Rest::default(),
            when_cut: Box::pin(cut.cancelled_owned()),
            _held: Box::new(held),
        }
    }

    /// Sends the head, and holds back what follows until it is answered.
    pub(crate) async fn send_head(&mut self, head: &[u8]) -> io::Result<()> {
        self.write_all(head).await?;
        self.flush().await?;
        self.gate = Gate::Closed {
            reader: None,
            writer: None,
        };
        Ok(())
    }

    /// There is no code in this binding.
    pub(crate) fn reset(&mut self) {
        self.io = None;
    }

    /// See [`crate::Stream::poll_fill`].
    pub(crate) fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        seen: impl FnOnce(&[u8]),
    ) -> Poll<Result<usize, Side>> {
        ready!(self.poll_push(cx)).map_err(Side::Stream)?;
        let mut chunk = vec![0; CHUNK];
        let mut buffer = ReadBuf::new(&mut chunk);
        match Pin::new(source).poll_read(cx, &mut buffer) {
            Poll::Ready(read) => read.map_err(Side::Other)?,
            Poll::Pending => {
                ready!(self.poll_io(cx, |io, cx| io.poll_flush(cx))).map_err(Side::Stream)?;
                return Poll::Pending;
            }
        }
        let bytes = buffer.filled().len();
        chunk.truncate(bytes);
        seen(&chunk);
        self.to_agent = Rest {
            bytes: chunk,
            written: 0,
        };
        match self.poll_push(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(Side::Stream(error))),
            // What is left goes out at the next call.
            _ => Poll::Ready(Ok(bytes)),
        }
    }

    /// See [`crate::Stream::poll_drain`].
    pub(crate) fn poll_drain<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<Result<usize, Side>> {
        if self.to_visitor.is_empty() {
            let mut bytes = vec![0; CHUNK];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut *self).poll_read(cx, &mut buffer)).map_err(Side::Stream)?;
            let read = buffer.filled().len();
            if read == 0 {
                return Poll::Ready(Ok(0));
            }
            bytes.truncate(read);
            self.to_visitor = Rest { bytes, written: 0 };
        }
        let mut sink = Pin::new(sink);
        let taken = ready!(
            self.to_visitor
                .poll_write(|bytes| sink.as_mut().poll_write(cx, bytes))
        );
        Poll::Ready(taken.map_err(Side::Other))
    }

    fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.to_agent.is_empty() {
            ready!(self.poll_gate(cx, Who::Writer))?;
            let io = self.io.as_mut().ok_or_else(gone)?;
            ready!(
                self.to_agent
                    .poll_write(|bytes| io.as_mut().poll_write(cx, bytes))
            )?;
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for the agent's first byte.
    fn poll_gate(&mut self, cx: &mut Context<'_>, who: Who) -> Poll<io::Result<()>> {
        let Gate::Closed { reader, writer } = &mut self.gate else {
            return Poll::Ready(Ok(()));
        };
        let own = match who {
            Who::Reader => reader,
            Who::Writer => writer,
        };
        own.replace(cx.waker().clone());
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let answer = self.poll_io(cx, |io, cx| io.poll_read(cx, &mut buffer));
        ready!(answer)?;
        let gate = Gate::Answered(buffer.filled().first().copied());
        if let Gate::Closed { reader, writer } = std::mem::replace(&mut self.gate, gate) {
            let wakers = [reader, writer].into_iter().flatten();
            wakers.for_each(Waker::wake);
        }
        Poll::Ready(Ok(()))
    }

    /// Does `act` on the connection, unless that was cut.
    fn poll_io<T>(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(Pin<&mut dyn Duplex>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let io = self.io.as_mut().ok_or_else(gone)?;
        let done = act(io.as_mut(), cx);
        if done.is_pending() && self.when_cut.as_mut().poll(cx).is_ready() {
            self.io = None;
            return Poll::Ready(Err(gone()));
        }
        done
    }
}

impl Rest {
    const fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    /// Writes once. Keeps no buffer when all is out.
    fn poll_write(
        &mut self,
        write: impl FnOnce(&[u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let written = not_zero(ready!(write(&self.bytes[self.written..]))?)?;
        self.written += written;
        if self.is_empty() {
            *self = Self::default();
        }
        Poll::Ready(Ok(written))
    }
}

fn gone() -> io::Error {
    TransportError::ClosedHere.into()
}

impl AsyncRead for SingleStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_gate(cx, Who::Reader))?;
        if let Gate::Answered(answer) = self.gate {
            self.gate = Gate::Open;
            if let Some(status) = answer {
                buf.put_slice(&[status]);
            }
            return Poll::Ready(Ok(()));
        }
        self.poll_io(cx, |io, cx| io.poll_read(cx, buf))
    }
}

impl AsyncWrite for SingleStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_gate(cx, Who::Writer))?;
        self.poll_io(cx, |io, cx| io.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_push(cx))?;
        self.poll_io(cx, |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_push(cx))?;
        ready!(self.poll_gate(cx, Who::Writer))?;
        self.poll_io(cx, |io, cx| io.poll_shutdown(cx))
    }
}

impl fmt::Debug for SingleStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleStream")
            .field("gate", &self.gate)
            .field("open", &self.io.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};
    use tokio_util::sync::CancellationToken;

    use super::*;

    const HEAD: &[u8] = b"head";

    #[tokio::test]
    async fn a_visitors_bytes_follow_the_status() {
        let (io, mut agent) = duplex(64);
        let mut stream = SingleStream::new(io, CancellationToken::new(), ());
        stream.send_head(HEAD).await.unwrap();
        let (mut read, mut write) = tokio::io::split(stream);
        // The writer alone waits for the answer, and the reader gets it nevertheless.
        let writing = tokio::spawn(async move {
            write.write_all(b"request").await?;
            write.shutdown().await
        });
        let mut head = [0; 4];
        agent.read_exact(&mut head).await.unwrap();
        let early = tokio::time::timeout(std::time::Duration::from_millis(20), agent.read_u8());
        assert!(early.await.is_err(), "before the status");
        agent.write_all(&[0]).await.unwrap();
        let mut request = Vec::new();
        agent.read_to_end(&mut request).await.unwrap();
        assert_eq!(request, b"request");
        writing.await.unwrap().unwrap();
        agent.write_all(b"answer").await.unwrap();
        drop(agent);
        let mut answer = Vec::new();
        read.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"\0answer");
    }

    #[tokio::test]
    async fn sockets_are_moved_whole_through_small_buffers() {
        let (io, agent) = duplex(100);
        let mut stream = SingleStream::new(io, CancellationToken::new(), ());
        let (mut visitor, mut socket) = duplex(1 << 20);
        visitor.write_all(&[7; 100_000]).await.unwrap();
        visitor.shutdown().await.unwrap();
        let echo = tokio::spawn(async move {
            let (mut read, mut write) = tokio::io::split(agent);
            tokio::io::copy(&mut read, &mut write).await.unwrap();
            write.shutdown().await.unwrap();
        });
        let (mut filled, mut drained) = (false, false);
        std::future::poll_fn(|cx| {
            while !filled {
                match stream.poll_fill(cx, &mut socket, |_| ()) {
                    Poll::Ready(Ok(0)) => {
                        match Pin::new(&mut stream).poll_shutdown(cx) {
                            Poll::Ready(ended) => ended.unwrap(),
                            Poll::Pending => break,
                        }
                        filled = true;
                    }
                    Poll::Ready(moved) => assert!(moved.unwrap() > 0),
                    Poll::Pending => break,
                }
            }
            while !drained {
                match stream.poll_drain(cx, &mut socket) {
                    Poll::Ready(moved) => drained = moved.unwrap() == 0,
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(())
        })
        .await;
        drop(socket);
        let mut back = Vec::new();
        visitor.read_to_end(&mut back).await.unwrap();
        assert!(back == [7; 100_000], "{}", back.len());
        echo.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_cut_is_no_end() {
        let (io, _agent) = duplex(64);
        let cut = CancellationToken::new();
        let mut stream = SingleStream::new(io, cut.clone(), ());
        let cutting = async { cut.cancel() };
        let (read, ()) = tokio::join!(stream.read_u8(), cutting);
        assert_eq!(
            TransportError::of(&read.unwrap_err()),
            Some(TransportError::ClosedHere)
        );
        assert!(stream.write_u8(0).await.is_err());
    }
}
