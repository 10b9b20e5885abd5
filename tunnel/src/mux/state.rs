//! One stream as the session knows it. No buffers: an idle stream is this struct and its place in the table.

use std::{task::Waker, time::Instant};

use super::{
    budget::Share,
    buffer::Buffer,
    error::Broken,
    flow::{Inbound, Outbound, Pace},
    frame::Flags,
    outgoing::Turn,
};
use crate::Code;

#[derive(Debug)]
pub(super) struct State {
    pub(super) receive: Inbound,
    pub(super) send: Outbound,
    pub(super) unread: Buffer,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    pub(super) turn: Turn,
    /// The peer opened it.
    pub(super) theirs: bool,
    /// Whether the peer knows of it: the first frame of a stream tells.
    pub(super) announced: bool,
    /// The peer waits to hear that its stream has arrived.
    pub(super) ack_due: bool,
    pub(super) sent_end: bool,
    pub(super) got_end: bool,
    /// The peer's reset.
    pub(super) reset: Option<Code>,
    /// Our own reset.
    pub(super) cut: bool,
    /// Whether it counts as open towards the limit on streams.
    pub(super) counted: bool,
}

impl State {
    pub(super) fn ours(now: Instant) -> Self {
        Self {
            receive: Inbound::new(now),
            send: Outbound::new(),
            unread: Buffer::default(),
            reader: None,
            writer: None,
            turn: Turn::default(),
            theirs: false,
            announced: false,
            ack_due: false,
            sent_end: false,
            got_end: false,
            reset: None,
            cut: false,
            counted: false,
        }
    }

    pub(super) fn theirs(now: Instant) -> Self {
        Self {
            theirs: true,
            announced: true,
            ack_due: true,
            counted: true,
            ..Self::ours(now)
        }
    }

    /// Flags that the stream's next frame must carry.
    pub(super) fn first_flags(&mut self) -> Flags {
        let ack = std::mem::take(&mut self.ack_due);
        let known = std::mem::replace(&mut self.announced, true);
        match (ack, known) {
            (true, _) => Flags::ACK,
            (false, false) => Flags::SYN,
            (false, true) => Flags::NONE,
        }
    }

    /// Nothing more will be said about it in either direction.
    pub(super) const fn is_over(&self) -> bool {
        self.cut || self.reset.is_some() || (self.sent_end && self.got_end)
    }

    /// Whether the peer may still send, and wants credit.
    pub(super) const fn is_receiving(&self) -> bool {
        !(self.cut || self.got_end || self.reset.is_some())
    }

    /// The credit that is due after a read.
    pub(super) fn credit(&mut self, pace: Pace, max: u32, memory: &mut Share) -> Option<u32> {
        if !self.is_receiving() {
            return None;
        }
        self.receive.give(self.unread.len(), pace, max, memory)
    }

    pub(super) const fn broken(&self) -> Option<Broken> {
        match self.reset {
            _ if self.cut => Some(Broken::CutHere),
            Some(code) => Some(Broken::Reset(code)),
            None => None,
        }
    }

    pub(super) fn wake(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(self.reader.take());
        woken.extend(self.writer.take());
    }
}

/// Keeps `waker` in `slot`, without a clone when it is there already.
pub(super) fn keep(slot: &mut Option<Waker>, waker: &Waker) {
    if !slot.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
        *slot = Some(waker.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_stream_is_small() {
        // A table keeps up to twice the places that it uses, and the handle and its tasks come on top.
        assert!(size_of::<State>() <= 256, "{}", size_of::<State>());
    }
}
