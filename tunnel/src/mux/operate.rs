//! What the holder of a stream does with it.

use std::{
    task::{Context, Poll, Waker, ready},
    time::Instant,
};

use bytes::{Bytes, buf::Limit};
use tokio::io::ReadBuf;

use super::{
    error::{Broken, MuxError},
    flow::Pace,
    frame::Flags,
    outgoing::Turn,
    session::Session,
    state::{State, keep},
};
use crate::Code;

impl Session {
    /// Fills `to` with what has come; nothing at the end of the direction.
    pub(super) fn poll_read(
        &mut self,
        id: u32,
        to: &mut ReadBuf<'_>,
        waker: &Waker,
        now: Instant,
    ) -> Poll<Result<(), Broken>> {
        if to.remaining() == 0 && self.streams.get(&id).is_some_and(|s| s.unread.len() == 0) {
            return Poll::Ready(Ok(()));
        }
        if !ready!(self.poll_unread(id, waker))? {
            return Poll::Ready(Ok(()));
        }
        let unread = self.streams.get_mut(&id).map(|state| &mut state.unread);
        let read = unread.map_or(0, |unread| unread.read(to));
        self.credit(id, read, now);
        Poll::Ready(Ok(()))
    }

    /// Puts the first pieces of what has come into `to` and gives their number; none at the end of the direction. They stay
    /// unread until [`Self::consume`].
    pub(super) fn poll_peek(
        &mut self,
        id: u32,
        to: &mut [Bytes],
        waker: &Waker,
    ) -> Poll<Result<usize, Broken>> {
        let any = ready!(self.poll_unread(id, waker))?;
        let state = self.streams.get_mut(&id).filter(|_| any);
        Poll::Ready(Ok(state.map_or(0, |state| state.unread.peek(to))))
    }

    /// The first `read` bytes of what was peeked at are used.
    pub(super) fn consume(&mut self, id: u32, read: usize, now: Instant) {
        if let Some(state) = self.streams.get_mut(&id)
            // A reset may have come in between.
            && state.unread.len() >= read
        {
            state.unread.consume(read);
            self.credit(id, read, now);
        }
    }

    /// Whether there is something to read, once that is known.
    fn poll_unread(&mut self, id: u32, waker: &Waker) -> Poll<Result<bool, Broken>> {
        let over = self.over().cloned();
        let Some(state) = self.streams.get_mut(&id) else {
            return Poll::Ready(Err(gone(over)));
        };
        if state.unread.len() > 0 {
            return Poll::Ready(Ok(true));
        }
        if state.got_end && !state.cut {
            return Poll::Ready(Ok(false));
        }
        if let Some(broken) = broken(state, over) {
            return Poll::Ready(Err(broken));
        }
        keep(&mut state.reader, waker);
        self.announce(id);
        Poll::Pending
    }

    fn credit(&mut self, id: u32, read: usize, now: Instant) {
        let (is_over, max) = (self.over().is_some(), self.window_bound());
        let Some(state) = self.streams.get_mut(&id) else {
            return;
        };
        self.memory.release(read);
        let rtt = self.keepalive.rtt();
        let credit = state.credit(Pace { now, rtt }, max, &mut self.memory);
        if let Some(credit) = credit.filter(|_| !is_over) {
            self.out.window(id, state.first_flags(), credit);
        }
    }

    /// Takes what has room of `bytes`.
    pub(super) fn poll_write(
        &mut self,
        id: u32,
        bytes: &[u8],
        waker: &Waker,
    ) -> Poll<Result<usize, Broken>> {
        let over = self.over().cloned();
        let Some(state) = self.streams.get_mut(&id) else {
            return Poll::Ready(Err(gone(over)));
        };
        writable(state, over)?;
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if state.send.window == 0 || !self.out.admits(id, &mut state.turn) {
            keep(&mut state.writer, waker);
            return Poll::Pending;
        }
        let most = state
            .send
            .most(state.turn.most(bytes.len()), self.out.open_frame(id));
        let (limit, flags) = (state.send.frame(), state.first_flags());
        let frame = self.out.data(id, flags, &bytes[..most], limit);
        state.send.sent(most, frame);
        state.turn.spend(most);
        Poll::Ready(Ok(most))
    }

    /// Lets `fill` write into the outgoing buffer, as much as may be sent. Gives how much that was: none is the end of
    /// whatever it reads from.
    pub(super) fn poll_fill<E>(
        &mut self,
        id: u32,
        cx: &mut Context<'_>,
        fill: impl FnOnce(&mut Context<'_>, &mut Limit<&mut Vec<u8>>) -> Poll<Result<(), E>>,
    ) -> Poll<Result<Result<usize, E>, Broken>> {
        let over = self.over().cloned();
        let Some(state) = self.streams.get_mut(&id) else {
            return Poll::Ready(Err(gone(over)));
        };
        writable(state, over)?;
        if state.send.window == 0 || !self.out.admits(id, &mut state.turn) {
            keep(&mut state.writer, cx.waker());
            return Poll::Pending;
        }
        let most = state.send.most(state.turn.most(usize::MAX), None);
        let filled = self
            .out
            .fill(id, most, |space| fill(cx, space), || state.first_flags());
        if let Poll::Ready(Ok(length @ 1..)) = filled {
            state
                .send
                .sent(length, u32::try_from(length).unwrap_or(u32::MAX));
            state.turn.spend(length);
        } else {
            // A turn is for those who have something to send.
            state.turn = Turn::None;
        }
        filled.map(Ok)
    }

    /// Makes sure that the peer knows of the stream.
    pub(super) fn flush(&mut self, id: u32) -> Result<(), Broken> {
        let over = self.over().cloned();
        let Some(state) = self.streams.get(&id) else {
            return Err(gone(over));
        };
        match broken(state, over) {
            // What was written may have been read in full.
            Some(_) if state.sent_end => Ok(()),
            Some(broken) => Err(broken),
            None => {
                self.announce(id);
                Ok(())
            }
        }
    }

    /// Ends our direction. Ending it twice is no error.
    pub(super) fn shutdown(&mut self, id: u32) -> Result<(), Broken> {
        let over = self.over().cloned();
        let Some(state) = self.streams.get_mut(&id) else {
            return Err(gone(over));
        };
        if state.sent_end {
            return Ok(());
        }
        if let Some(broken) = broken(state, over) {
            return Err(broken);
        }
        state.sent_end = true;
        let flags = state.first_flags();
        if flags == Flags::ACK {
            // Old versions of hashicorp/yamux look at no other flag beside an ACK.
            self.out.window(id, flags, 0);
            self.out.window(id, Flags::FIN, 0);
        } else {
            self.out.window(id, flags | Flags::FIN, 0);
        }
        self.settle(id);
        Ok(())
    }

    /// Aborts both directions.
    pub(super) fn reset(&mut self, id: u32, code: Code) {
        let quiet = self.over().is_some();
        let Some(state) = self.streams.get_mut(&id) else {
            return;
        };
        let tell = state.announced && !state.is_over() && !quiet;
        state.cut = true;
        let unread = state.unread.clear();
        self.memory.release(unread);
        if state.turn == Turn::Queued {
            state.turn = Turn::None;
            self.out.leave_queue(id);
        }
        // Whoever waits in another task learns of it.
        state.wake(&mut self.woken);
        if tell {
            self.out.reset(id, code.into());
        }
        self.settle(id);
    }

    /// The handle is gone: what has not ended is aborted, and nothing is kept.
    pub(super) fn forget(&mut self, id: u32) {
        if let Some(state) = self.streams.get_mut(&id) {
            (state.reader, state.writer) = (None, None);
        }
        self.reset(id, Code::Aborted);
        let Some(state) = self.streams.remove(&id) else {
            return;
        };
        if state.theirs {
            self.peer_held -= 1;
        }
        if state.announced && !state.got_end {
            self.strays.forget(state.receive.left());
        }
        self.memory.shrink(state.receive.grown());
    }

    /// Stops counting a stream as open that no longer is.
    pub(super) fn settle(&mut self, id: u32) {
        if let Some(state) = self.streams.get_mut(&id)
            && state.is_over()
            && std::mem::take(&mut state.counted)
        {
            self.peer_open -= 1;
        }
    }

    /// A stream that only listens is opened by listening.
    fn announce(&mut self, id: u32) {
        if let Some(state) = self.streams.get_mut(&id)
            && !state.announced
        {
            self.out.window(id, state.first_flags(), 0);
        }
    }
}

fn broken(state: &State, over: Option<MuxError>) -> Option<Broken> {
    state.broken().or_else(|| over.map(Broken::Session))
}

/// Why nothing more can be written, if so.
fn writable(state: &State, over: Option<MuxError>) -> Result<(), Broken> {
    match broken(state, over) {
        Some(broken) => Err(broken),
        None if state.sent_end => Err(Broken::Ended),
        None => Ok(()),
    }
}

/// A handle outlives its stream only where a session ended before anyone took the stream.
fn gone(over: Option<MuxError>) -> Broken {
    over.map_or(Broken::CutHere, Broken::Session)
}
