//! Copies bytes both ways between two peers, one direction ending without the other, and holds no buffer while idle.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// One read. Large enough that a TLS record (16 KiB) goes through in one piece.
const CHUNK: usize = 16 * 1024;
/// Reads in a row before other tasks get their turn.
const TURNS: usize = 32;
/// After one side has ended, the other may be silent for that long: a peer that never ends its half would hold the other's
/// resources for ever.
pub(crate) const HALF_CLOSED: Duration = Duration::from_secs(300);

thread_local! {
    /// Shared by all connections of a thread, and only filled within one poll.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into());
}

/// Bytes that went each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub from_left: u64,
    pub from_right: u64,
}

/// Copies until both directions have ended. An error of either side ends both: drop them, so that the peers see an abort.
pub async fn splice<L, R>(left: &mut L, right: &mut R) -> (Copied, io::Result<()>)
where
    L: AsyncRead + AsyncWrite + Unpin,
    R: AsyncRead + AsyncWrite + Unpin,
{
    let (mut there, mut back) = (Direction::default(), Direction::default());
    let mut patience = Box::pin(tokio::time::sleep(HALF_CLOSED));
    let result = std::future::poll_fn(|cx| {
        let before = there.copied + back.copied;
        let one = there.poll(cx, left, right)?;
        let two = back.poll(cx, right, left)?;
        match (one, two) {
            (Poll::Ready(()), Poll::Ready(())) => return Poll::Ready(Ok(())),
            (Poll::Pending, Poll::Pending) => return Poll::Pending,
            _ => {}
        }
        let moved = there.copied + back.copied > before;
        if moved || !(there.was_done || back.was_done) {
            patience.as_mut().reset(Instant::now() + HALF_CLOSED);
        }
        there.was_done = one.is_ready();
        back.was_done = two.is_ready();
        ready!(patience.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    })
    .await;
    let copied = Copied {
        from_left: there.copied,
        from_right: back.copied,
    };
    (copied, result)
}

#[derive(Debug, Default)]
struct Direction {
    copied: u64,
    /// Read, but not taken by the writer yet; empty while idle.
    waiting: Vec<u8>,
    written: usize,
    unflushed: bool,
    ended: bool,
    done: bool,
    was_done: bool,
}

impl Direction {
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, to: &mut W) -> io::Result<Poll<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        match self.poll_copy(cx, from, to) {
            Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    fn poll_copy<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        if self.done {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..TURNS {
            ready!(self.poll_drain(cx, to))?;
            if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.done = true;
                return Poll::Ready(Ok(()));
            }
            match self.poll_move(cx, from, to) {
                Poll::Ready(result) => result?,
                Poll::Pending => return self.poll_idle(cx, to),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once and writes what the writer takes at once; the rest waits.
    fn poll_move<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(from).poll_read(cx, &mut buffer))?;
            let bytes = buffer.filled();
            self.ended = bytes.is_empty();
            self.unflushed |= !bytes.is_empty();
            self.copied += bytes.len() as u64;
            let taken = match Pin::new(to).poll_write(cx, bytes) {
                _ if bytes.is_empty() => 0,
                Poll::Ready(taken) => taken?,
                Poll::Pending => 0,
            };
            self.waiting.extend_from_slice(&bytes[taken..]);
            Poll::Ready(Ok(()))
        })
    }

    fn poll_drain<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<io::Result<()>> {
        while self.written < self.waiting.len() {
            let rest = &self.waiting[self.written..];
            match ready!(Pin::new(&mut *to).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.written += taken,
            }
        }
        self.waiting = Vec::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Nothing to read now: what was written must not sit in a buffer.
    fn poll_idle<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(Pin::new(to).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn each_direction_ends_by_itself() {
        let (mut visitor, mut left) = duplex(64);
        let (mut right, mut origin) = duplex(64);
        let copy = tokio::spawn(async move { splice(&mut left, &mut right).await });
        let mut seen = Vec::new();
        let ask = async {
            visitor.write_all(&[7; 10_000]).await.unwrap();
            visitor.shutdown().await.unwrap();
        };
        let (_, read) = tokio::join!(ask, origin.read_to_end(&mut seen));
        read.unwrap();
        origin.write_all(b"answer after the end").await.unwrap();
        drop(origin);
        let mut answer = String::new();
        visitor.read_to_string(&mut answer).await.unwrap();
        assert_eq!(
            (seen.len(), answer.as_str()),
            (10_000, "answer after the end")
        );
        let (copied, result) = copy.await.unwrap();
        result.unwrap();
        assert_eq!((copied.from_left, copied.from_right), (10_000, 20));
    }

    #[tokio::test(start_paused = true)]
    async fn a_half_that_never_ends_is_cut_after_a_while() {
        let (mut visitor, mut left) = duplex(64);
        let (mut right, _origin) = duplex(64);
        visitor.shutdown().await.unwrap();
        let start = Instant::now();
        let (_, result) = splice(&mut left, &mut right).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= HALF_CLOSED);
    }

    #[tokio::test(start_paused = true)]
    async fn open_and_idle_is_never_cut() {
        let (_visitor, mut left) = duplex(64);
        let (mut right, _origin) = duplex(64);
        let copy = splice(&mut left, &mut right);
        assert!(tokio::time::timeout(HALF_CLOSED * 10, copy).await.is_err());
    }
}
