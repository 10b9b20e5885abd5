//! What the holder of a stream does with it.

use std::{
    task::{Poll, Waker},
    time::Instant,
};

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
        let (over, max) = (self.over().cloned(), self.window_bound());
        let Some(state) = self.streams.get_mut(&id) else {
            return Poll::Ready(Err(gone(over)));
        };
        if state.unread.len() > 0 {
            let read = state.unread.read(to, &mut self.pool);
            self.memory.release(read);
            let rtt = self.keepalive.rtt();
            let credit = state.credit(Pace { now, rtt }, max, &mut self.memory);
            if let Some(credit) = credit.filter(|_| over.is_none()) {
                self.out.window(id, state.first_flags(), credit);
            }
            return Poll::Ready(Ok(()));
        }
        if (state.got_end && !state.cut) || to.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(broken) = broken(state, over) {
            return Poll::Ready(Err(broken));
        }
        keep(&mut state.reader, waker);
        self.announce(id);
        Poll::Pending
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
        if let Some(broken) = broken(state, over) {
            return Poll::Ready(Err(broken));
        }
        if state.sent_end {
            return Poll::Ready(Err(Broken::Ended));
        }
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
        let unread = state.unread.clear(&mut self.pool);
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

/// A handle outlives its stream only where a session ended before anyone took the stream.
fn gone(over: Option<MuxError>) -> Broken {
    over.map_or(Broken::CutHere, Broken::Session)
}
