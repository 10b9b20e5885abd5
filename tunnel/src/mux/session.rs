//! The session: its streams, their frames and its end. Pure; [`super::operate`] holds what streams do, [`super::receive`] what
//! the peer's frames do.

use std::{
    collections::{HashMap, VecDeque},
    task::Waker,
    time::{Duration, Instant},
};

use super::{
    Config, Role,
    budget::Share,
    error::{MuxError, Violation},
    flow::size,
    incoming::Incoming,
    keepalive::Keepalive,
    outgoing::{DATA_BOUND, Outgoing, Turn},
    receive::Body,
    state::State,
    stray::Strays,
};
use crate::{
    Code,
    bounds::{self, Bound},
    limits,
};

/// The last moment at which a peer hears that its stream has arrived. Until then the news rides with other frames: it saves a
/// write and a packet for each stream.
const ACK_WITHIN: Duration = Duration::from_millis(5);
/// So many unheard arrivals do not wait: libraries open 256 streams and then stall.
const ACK_BATCH: usize = 32;
/// Unheard arrivals that wait for the peer to read at all: far more than it may have streams.
const ACK_BOUND: usize = 8192;
/// Most bytes of one turn: with one of each length, the room is still more than half used.
const TURN_BOUND: u32 = 128 * 1024;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) role: Role,
    pub(super) max_window: u32,
    pub(super) max_peer_streams: u32,
    pub(super) streams: HashMap<u32, State>,
    /// Streams of the peer that count as open.
    pub(super) peer_open: u32,
    /// Streams of the peer that somebody still holds a handle of.
    pub(super) peer_held: u32,
    /// Streams of the peer that nobody has taken yet.
    pub(super) arrived: VecDeque<u32>,
    /// Of those, how many nobody was told about.
    news: usize,
    next_id: u32,
    pub(super) incoming: Incoming,
    pub(super) body: Option<Body>,
    pub(super) out: Outgoing,
    /// Streams whose arrival the peer has not heard of, and since when.
    acks: Vec<u32>,
    ack_since: Option<Instant>,
    pub(super) keepalive: Keepalive,
    pub(super) memory: Share,
    /// Streams that hold parts of the last read buffer.
    pub(super) lent: Vec<u32>,
    pub(super) strays: Strays,
    /// Refusals that no accepted stream has made up for.
    pub(super) refusals: u32,
    pub(super) refused: u64,
    /// The peer said goodbye; what is open may end.
    pub(super) goodbye: Option<Code>,
    over: Option<MuxError>,
    pub(super) woken: Vec<Waker>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

/// Totals of a session so far, and how often its bounds were hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Streams that exist now.
    pub streams: usize,
    /// Streams of the peer that were refused.
    pub refused: u64,
    /// Frames for streams that no longer exist.
    pub strays: u64,
    /// Writes that had to wait for room in the outgoing buffer.
    pub waits: u64,
    /// Windows that would have grown but for the memory budget.
    pub growth_denied: u64,
}

impl Session {
    pub(super) fn new(role: Role, config: Config, now: Instant) -> Self {
        Self {
            role,
            max_window: config.max_window,
            max_peer_streams: config.max_peer_streams,
            streams: HashMap::new(),
            peer_open: 0,
            peer_held: 0,
            arrived: VecDeque::new(),
            news: 0,
            next_id: role.first_id(),
            incoming: Incoming::default(),
            body: None,
            out: Outgoing::default(),
            acks: Vec::new(),
            ack_since: None,
            keepalive: Keepalive::new(config.keepalive, config.idle, now),
            memory: Share::new(config.budget, config.session_budget),
            lent: Vec::new(),
            strays: Strays::new(),
            refusals: 0,
            refused: 0,
            goodbye: None,
            over: None,
            woken: Vec::new(),
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// A new stream of ours. The peer learns of it with its first frame, so it costs nothing yet.
    pub(super) fn open(&mut self, now: Instant) -> Result<u32, MuxError> {
        if let Some(error) = &self.over {
            return Err(error.clone());
        }
        if let Some(code) = self.goodbye {
            return Err(MuxError::Closed(code));
        }
        if !self.memory.has_room() {
            bounds::hit(Bound::Memory);
            return Err(MuxError::Busy);
        }
        let id = self.next_id;
        self.next_id = id.checked_add(2).ok_or(MuxError::Exhausted)?;
        self.streams.insert(id, State::ours(now));
        Ok(id)
    }

    /// The next stream of the peer, if one has come.
    pub(super) fn accept(&mut self) -> Result<Option<u32>, MuxError> {
        if let Some(error) = &self.over {
            return Err(error.clone());
        }
        while let Some(id) = self.arrived.pop_front() {
            let taken_back = |state: &State| state.reset.is_some() && !state.got_end;
            if !self.streams.get(&id).is_none_or(taken_back) {
                return Ok(Some(id));
            }
            self.forget(id);
        }
        Ok(None)
    }

    pub(super) const fn admit(&mut self, streams: u32) {
        self.max_peer_streams = streams;
    }

    /// To what windows may grow: a peer that was not admitted gets no more than it starts with.
    pub(super) const fn window_bound(&self) -> u32 {
        if self.max_peer_streams > limits::PEER_STREAMS_BEFORE_WELCOME {
            self.max_window
        } else {
            super::flow::FIRST_WINDOW
        }
    }

    /// How many streams have arrived since the last call.
    pub(super) const fn take_news(&mut self) -> usize {
        std::mem::replace(&mut self.news, 0)
    }

    pub(super) fn arrive(&mut self, id: u32, now: Instant) -> Result<(), Violation> {
        if self.acks.len() >= ACK_BOUND {
            return Err(Violation::Flood);
        }
        self.arrived.push_back(id);
        self.news += 1;
        self.acks.push(id);
        self.ack_since.get_or_insert(now);
        Ok(())
    }

    /// Ends the session from this side, and says so behind what was written so far.
    pub(super) fn close(&mut self, code: Code) {
        if self.over.is_none() {
            self.out.go_away(goodbye(code));
            self.end(MuxError::ClosedHere);
        }
    }

    pub(super) fn violated(&mut self, violation: Violation) {
        if self.over.is_none() {
            violation.count();
            self.out.go_away(goodbye(Code::Protocol));
            self.end(violation.into());
        }
    }

    /// The connection is gone, cleanly or not.
    pub(super) fn disconnected(&mut self, error: MuxError) {
        let error = self.goodbye.map_or(error, MuxError::Closed);
        self.end(error);
    }

    /// Every stream that has not ended by then is aborted; what it has received can still be read.
    pub(super) fn end(&mut self, error: MuxError) {
        if self.over.is_some() {
            return;
        }
        self.over = Some(error);
        while let Some(id) = self.arrived.pop_front() {
            self.forget(id);
        }
        for state in self.streams.values_mut() {
            state.wake(&mut self.woken);
        }
    }

    pub(super) const fn over(&self) -> Option<&MuxError> {
        self.over.as_ref()
    }

    /// Does what the time asks for; the next call is due at [`Self::deadline`]. Gives whether this was one of the calls, a
    /// keepalive apart, at which unused memory is let go.
    pub(super) fn tick(&mut self, now: Instant) -> bool {
        let due = |since| now.saturating_duration_since(since) >= ACK_WITHIN;
        if self.ack_since.is_some_and(due) {
            self.acknowledge();
        }
        match self.keepalive.tick(now) {
            Ok(None) => return false,
            Ok(Some(id)) => self.out.ping(id),
            Err(error) => {
                bounds::hit(Bound::Idle);
                self.out.go_away(goodbye(Code::Idle));
                self.end(error);
            }
        }
        self.trim();
        true
    }

    pub(super) fn deadline(&self) -> Instant {
        let deadline = self.keepalive.deadline();
        match self.ack_since {
            Some(since) => deadline.min(since + ACK_WITHIN),
            None => deadline,
        }
    }

    /// Whether there is something to write without waiting for company.
    pub(super) const fn has_output(&self) -> bool {
        !self.out.is_empty() || self.acks.len() >= ACK_BATCH
    }

    /// Exchanges what is to be written for `empty`, and lets the streams that wait fill the room. Gives whether there is any.
    pub(super) fn take_output(&mut self, empty: &mut Vec<u8>) -> bool {
        let any = self.has_output();
        if any {
            self.acknowledge();
            self.out.swap(empty);
            self.bytes_out += u64::try_from(empty.len()).unwrap_or(u64::MAX);
        }
        self.give_turns();
        any
    }

    /// Whether somebody waits for a turn though there is room: those who got one may be gone.
    pub(super) fn owes_turns(&self) -> bool {
        self.out.anyone_waits() && self.out.is_empty()
    }

    pub(super) const fn rtt(&self) -> Option<Duration> {
        self.keepalive.rtt()
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            streams: self.streams.len(),
            refused: self.refused,
            strays: self.strays.seen,
            waits: self.out.waits,
            growth_denied: self.memory.denied,
        }
    }

    fn acknowledge(&mut self) {
        self.ack_since = None;
        while let Some(id) = self.acks.pop() {
            if let Some(state) = self.streams.get_mut(&id)
                && state.ack_due
                && !state.is_over()
            {
                self.out.window(id, state.first_flags(), 0);
            }
        }
    }

    /// Turns that fit into the room together, so that no stream's turn is of no use because another was quicker.
    fn give_turns(&mut self) {
        let mut room = DATA_BOUND.saturating_sub(self.out.len());
        while let Some(id) = self.out.first_in_queue() {
            if let Some(state) = self.streams.get_mut(&id) {
                let frame = state.send.frame().min(TURN_BOUND);
                let Some(left) = room.checked_sub(size(frame)) else {
                    return;
                };
                room = left;
                state.turn = Turn::Given(frame);
                self.woken.extend(state.writer.take());
            }
            self.out.pop_queue();
        }
    }

    fn trim(&mut self) {
        self.out.trim();
        self.lent.shrink_to_fit();
        self.acks.shrink_to(ACK_BATCH);
        self.arrived.shrink_to_fit();
        if self.streams.is_empty() {
            self.streams = HashMap::new();
        }
    }
}

/// yamux knows 0 (normal), 1 (protocol error) and 2 (internal error); other codes of ours stand above.
const OWN_CODES: u32 = 0x100;

fn goodbye(code: Code) -> u32 {
    match code {
        Code::Ok => 0,
        Code::Protocol => 1,
        Code::Internal => 2,
        other => OWN_CODES + u32::from(u8::from(other)),
    }
}

pub(super) fn code_of_goodbye(reason: u32) -> Code {
    match reason {
        0 => Code::Ok,
        1 => Code::Protocol,
        2 => Code::Internal,
        other => Code::of_session(other.wrapping_sub(OWN_CODES).into()),
    }
}
