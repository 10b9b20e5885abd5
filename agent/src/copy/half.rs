//! One direction of a copy. It has no buffer: bytes go straight between the origin and the buffers of the session.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::AsyncWrite;

/// Reads and writes in one turn before other tasks get theirs.
const TURN: usize = 16;

/// Which end failed.
#[derive(Debug)]
pub(super) enum Fault {
    Read(io::Error),
    Write(io::Error),
}

#[derive(Debug)]
pub(super) struct Half {
    state: State,
    moved: u64,
    unflushed: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Moving,
    Ending,
    Done,
}

impl Half {
    pub(super) const fn new() -> Self {
        Self {
            state: State::Moving,
            moved: 0,
            unflushed: false,
        }
    }

    pub(super) const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    pub(super) const fn moved(&self) -> u64 {
        self.moved
    }

    /// Moves what is there, by `step`, which gives 0 at the end of the source. Ready when that has come and, with `pass_end`,
    /// the sink has been told so.
    pub(super) fn poll<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        ends: &mut impl Ends<Sink = W>,
        pass_end: bool,
    ) -> Poll<Result<(), Fault>> {
        for _ in 0..TURN {
            match self.state {
                State::Moving => match ends.poll_step(cx) {
                    Poll::Ready(Ok(0)) => self.state = State::Ending,
                    Poll::Ready(Ok(moved)) => {
                        self.moved += moved as u64;
                        self.unflushed = true;
                    }
                    Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                    Poll::Pending => return self.poll_idle(cx, ends.sink()),
                },
                State::Ending if !pass_end => {
                    return Pin::new(ends.sink()).poll_flush(cx).map_err(Fault::Write);
                }
                State::Ending => {
                    ready!(Pin::new(ends.sink()).poll_shutdown(cx)).map_err(Fault::Write)?;
                    self.state = State::Done;
                }
                State::Done => return Poll::Ready(Ok(())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Nothing moves now: what was written must not sit in a buffer.
    fn poll_idle<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<Result<(), Fault>> {
        if self.unflushed {
            ready!(Pin::new(sink).poll_flush(cx)).map_err(Fault::Write)?;
            self.unflushed = false;
        }
        Poll::Pending
    }
}

/// A source and a sink.
pub(super) trait Ends {
    type Sink: AsyncWrite + Unpin;

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Fault>>;
    fn sink(&mut self) -> &mut Self::Sink;
}
