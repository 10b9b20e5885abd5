//! Moves the bytes of a session: one task, one buffer in each direction, one write for the frames of all streams.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    task::yield_now,
    time::{Instant, Sleep, sleep_until},
};

use super::{error::MuxError, shared::Shared, wire::Wire};
use crate::bounds::{self, Bound};

/// How long the last frames, the goodbye among them, may take to leave.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// How long the peer may take to hang up after our goodbye. Without the wait its kernel may throw our last bytes away.
const LINGER: Duration = Duration::from_secs(1);
/// Rounds of reading and writing before other tasks have their turn: at most 1 MiB each way.
const ROUNDS: usize = 4;

pub(super) struct Driver<W> {
    wire: W,
    shared: Arc<Shared>,
    phase: Phase,
    /// What one read brought; empty between rounds.
    pieces: Vec<Bytes>,
    writing: Vec<u8>,
    written: usize,
    /// `writing` has not left yet.
    sending: bool,
    /// Nothing was left to do: whoever wakes it next is one of several, perhaps.
    idle: bool,
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

/// What a round has come to.
enum Round {
    Worked,
    /// Streams have bytes of the read buffer: the sooner they use them, the fewer have to be copied.
    Lent,
}

impl<W: Wire> Driver<W> {
    pub(super) fn new(wire: W, shared: Arc<Shared>, now: Instant) -> Self {
        Self {
            wire,
            shared,
            phase: Phase::Running,
            pieces: Vec::new(),
            writing: Vec::new(),
            written: 0,
            sending: false,
            idle: true,
            timer: Box::pin(sleep_until(now)),
            woken: Vec::new(),
        }
    }

    /// One round; pending when neither direction nor the time can go on.
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Round> {
        match self.phase {
            Phase::Running => self.run(cx),
            Phase::Leaving | Phase::HangingUp | Phase::Lingering => {
                self.leave(cx).map(|()| Round::Worked)
            }
            Phase::Gone => Poll::Ready(Round::Worked),
        }
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Poll<Round> {
        let wrote = self.push(cx).is_ready();
        let read = self.pull(cx);
        let ticked = self.tick(cx).is_ready();
        if self.phase == Phase::Running && self.shared.over.is_cancelled() {
            self.phase = Phase::Leaving;
            self.timer.as_mut().reset(Instant::now() + LEAVE_WITHIN);
            return Poll::Ready(Round::Worked);
        }
        if read.is_pending() && (wrote || ticked) {
            return Poll::Ready(Round::Worked);
        }
        read
    }

    /// Writes one buffer, or as much of it as the connection takes. Pending when there is nothing to do.
    fn push(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Err(error) = ready!(self.try_push(cx)) {
            self.lost(MuxError::Io(error.to_string()));
        }
        Poll::Ready(())
    }

    fn try_push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.sending && !self.refill(cx) {
            return Poll::Pending;
        }
        let sent = self.wire.poll_send(cx, &self.writing, &mut self.written);
        self.sending = sent.is_pending();
        if self.sending {
            self.shared.park(cx.waker());
        }
        sent
    }

    fn refill(&mut self, cx: &mut Context<'_>) -> bool {
        self.writing.clear();
        self.written = 0;
        self.shared
            .refill(&mut self.writing, &mut self.woken, cx.waker())
    }

    /// Takes in what is there. Pending when there is nothing.
    fn pull(&mut self, cx: &mut Context<'_>) -> Poll<Round> {
        match ready!(self.wire.poll_receive(cx, &mut self.pieces)) {
            Ok(true) => Poll::Ready(self.take_in()),
            Ok(false) => {
                self.lost(MuxError::Truncated);
                Poll::Ready(Round::Worked)
            }
            Err(error) => {
                self.lost(MuxError::Io(error.to_string()));
                Poll::Ready(Round::Worked)
            }
        }
    }

    fn take_in(&mut self) -> Round {
        let now = Instant::now().into_std();
        let pieces = &mut self.pieces;
        let (due, lent) = self.shared.drive(&mut self.woken, |session| {
            session.reclaim();
            for piece in pieces.drain(..) {
                session.receive_shared(&piece, now);
            }
            (session.deadline(), session.has_lent())
        });
        if Instant::from_std(due) < self.timer.deadline() {
            self.timer.as_mut().reset(due.into());
        }
        if lent { Round::Lent } else { Round::Worked }
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
        self.wire.trim();
        self.pieces = Vec::new();
        if !self.sending {
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
                if pushed.is_pending() && !self.sending {
                    self.phase = Phase::HangingUp;
                    return Poll::Ready(());
                }
                pushed
            }
            Phase::HangingUp => {
                let hung_up = ready!(self.wire.poll_hang_up(cx));
                self.phase = hung_up.map_or(Phase::Gone, |()| Phase::Lingering);
                self.timer.as_mut().reset(Instant::now() + LINGER);
                Poll::Ready(())
            }
            _ => {
                if !matches!(
                    ready!(self.wire.poll_receive(cx, &mut self.pieces)),
                    Ok(true)
                ) {
                    self.phase = Phase::Gone;
                }
                self.pieces.clear();
                Poll::Ready(())
            }
        }
    }
}

impl<W: Wire> Future for Driver<W> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::take(&mut self.idle) {
            // Streams that are ready in the same moment go first: their frames leave in one record and one write, and not
            // each by itself, since a scheduler runs next what was woken last.
            let _ = pin!(yield_now()).poll(cx);
            return Poll::Pending;
        }
        for _ in 0..ROUNDS {
            let Poll::Ready(round) = self.step(cx) else {
                self.idle = true;
                return Poll::Pending;
            };
            if self.phase == Phase::Gone {
                return Poll::Ready(());
            }
            if matches!(round, Round::Lent) {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
