//! Moves the bytes of a session: one task, one buffer in each direction, one write for the frames of all streams.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::{error::MuxError, shared::Shared};
use crate::bounds::{self, Bound};

/// Read buffer of a busy connection.
const READ_BUFFER: usize = 256 * 1024;
/// Read buffer until a read fills it: most sessions idle.
const IDLE_READ_BUFFER: usize = 16 * 1024;
/// How long the last frames, the goodbye among them, may take to leave.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// How long the peer may take to hang up after our goodbye. Without the wait its kernel may throw our last bytes away.
const LINGER: Duration = Duration::from_secs(1);
/// Rounds of reading and writing before other tasks have their turn: at most 1 MiB each way.
const ROUNDS: usize = 4;

pub(super) struct Driver<I> {
    io: I,
    shared: Arc<Shared>,
    phase: Phase,
    reading: Vec<u8>,
    /// The read buffer was filled since the last tick.
    filled: bool,
    writing: Vec<u8>,
    written: usize,
    unflushed: bool,
    timer: Pin<Box<Sleep>>,
    woken: Vec<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// The session is over: what is left goes out.
    Leaving,
    /// Our direction of the connection ends.
    HangingUp,
    /// The peer's direction is to end.
    Lingering,
    Gone,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Driver<I> {
    pub(super) fn new(io: I, shared: Arc<Shared>, now: Instant) -> Self {
        Self {
            io,
            shared,
            phase: Phase::Running,
            reading: Vec::new(),
            filled: false,
            writing: Vec::new(),
            written: 0,
            unflushed: false,
            timer: Box::pin(sleep_until(now)),
            woken: Vec::new(),
        }
    }

    /// One round; pending when neither direction nor the time can go on.
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.phase {
            Phase::Running => self.run(cx),
            Phase::Leaving | Phase::HangingUp | Phase::Lingering => self.leave(cx),
            Phase::Gone => Poll::Ready(()),
        }
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let wrote = self.push(cx).is_ready();
        let read = self.pull(cx).is_ready();
        let ticked = self.tick(cx).is_ready();
        if self.phase == Phase::Running && self.shared.over.is_cancelled() {
            self.phase = Phase::Leaving;
            self.timer.as_mut().reset(Instant::now() + LEAVE_WITHIN);
            return Poll::Ready(());
        }
        if wrote || read || ticked {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Writes one buffer, or as much of it as the connection takes. Pending when there is nothing to do.
    fn push(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Err(error) = ready!(self.try_push(cx)) {
            self.lost(MuxError::Io(error.to_string()));
        }
        Poll::Ready(())
    }

    fn try_push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.written == self.writing.len() && !self.refill(cx) {
            if !self.unflushed {
                return Poll::Pending;
            }
            let flushed = ready!(Pin::new(&mut self.io).poll_flush(cx));
            self.unflushed = false;
            return Poll::Ready(flushed);
        }
        self.unflushed = true;
        while self.written < self.writing.len() {
            let rest = &self.writing[self.written..];
            match Pin::new(&mut self.io).poll_write(cx, rest)? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(n) => self.written += n,
                Poll::Pending => {
                    self.shared.park(cx.waker());
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn refill(&mut self, cx: &mut Context<'_>) -> bool {
        self.writing.clear();
        self.written = 0;
        self.shared
            .refill(&mut self.writing, &mut self.woken, cx.waker())
    }

    /// Reads what is there, up to a full buffer, and takes it in at once. Pending when there is nothing.
    fn pull(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.prepare();
        let mut filled = 0;
        let end = loop {
            match self.read(cx, filled) {
                Poll::Ready(Ok(0)) => break Some(MuxError::Truncated),
                Poll::Ready(Ok(n)) => filled += n,
                Poll::Ready(Err(error)) => break Some(MuxError::Io(error.to_string())),
                Poll::Pending if filled == 0 => return Poll::Pending,
                Poll::Pending => break None,
            }
            if filled == self.reading.len() {
                self.filled = true;
                break None;
            }
        };
        if filled > 0 {
            let now = Instant::now().into_std();
            let bytes = &self.reading[..filled];
            let due = self.shared.drive(&mut self.woken, |session| {
                session.receive(bytes, now);
                session.deadline()
            });
            if Instant::from_std(due) < self.timer.deadline() {
                self.timer.as_mut().reset(due.into());
            }
        }
        if let Some(error) = end {
            self.lost(error);
        }
        Poll::Ready(())
    }

    fn read(&mut self, cx: &mut Context<'_>, from: usize) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(&mut self.reading[from..]);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    fn prepare(&mut self) {
        let wanted = if self.filled {
            READ_BUFFER
        } else {
            IDLE_READ_BUFFER
        };
        if self.reading.len() < wanted {
            self.reading = vec![0; wanted];
        }
    }

    /// Lets the session see the time when that is due. Pending when it is not.
    fn tick(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.timer.as_mut().poll(cx));
        let now = Instant::now().into_std();
        let (trims, next) = self.shared.drive(&mut self.woken, |session| {
            (session.tick(now), session.deadline())
        });
        self.timer.as_mut().reset(next.into());
        if trims {
            self.trim();
        }
        Poll::Ready(())
    }

    fn trim(&mut self) {
        if !std::mem::take(&mut self.filled) && self.reading.len() > IDLE_READ_BUFFER {
            self.reading = Vec::new();
        }
        if self.writing.is_empty() {
            self.writing = Vec::new();
        }
    }

    /// The connection is of no use any more.
    fn lost(&mut self, error: MuxError) {
        self.phase = Phase::Gone;
        self.shared
            .drive(&mut self.woken, |session| session.disconnected(error));
    }

    /// Sends what is left, hangs up and waits for the peer to do so; all of it bounded by the timer.
    fn leave(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.as_mut().poll(cx).is_ready() {
            bounds::hit(Bound::Leaving);
            self.phase = Phase::Gone;
            return Poll::Ready(());
        }
        match self.phase {
            Phase::Leaving => {
                let pushed = self.push(cx);
                if pushed.is_pending() && self.written == self.writing.len() && !self.unflushed {
                    self.phase = Phase::HangingUp;
                    return Poll::Ready(());
                }
                pushed
            }
            Phase::HangingUp => {
                let hung_up = ready!(Pin::new(&mut self.io).poll_shutdown(cx));
                self.phase = hung_up.map_or(Phase::Gone, |()| Phase::Lingering);
                self.timer.as_mut().reset(Instant::now() + LINGER);
                Poll::Ready(())
            }
            _ => {
                self.prepare();
                if !matches!(ready!(self.read(cx, 0)), Ok(1..)) {
                    self.phase = Phase::Gone;
                }
                Poll::Ready(())
            }
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> Future for Driver<I> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..ROUNDS {
            ready!(self.step(cx));
            if self.phase == Phase::Gone {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
