//! What the peer's frames do to the session.

use std::time::Instant;

use bytes::Bytes;

use super::{
    error::{MuxError, Violation},
    frame::{Flags, Header, Kind},
    incoming::Piece,
    session::{Session, code_of_goodbye},
    state::State,
};
use crate::{
    Code,
    bounds::{self, Bound},
};

/// Streams that have come and nobody has taken: as many as may be open, but no more than this, which an acceptor empties in
/// milliseconds.
const ACCEPT_BACKLOG: usize = 1024;
/// Streams beyond the limit that are refused one by one: a peer that counts is never beyond, one that has just learned its
/// limit may be by a few. Every stream that is taken makes up for one.
const MAX_REFUSALS: u32 = 256;

/// To whom the rest of the current body belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    stream: u32,
    ends: bool,
}

impl Session {
    /// Takes in bytes of the connection, cut anywhere. Long bodies stay where they are until [`Self::reclaim`].
    pub(super) fn receive_shared(&mut self, whole: &Bytes, now: Instant) {
        self.keepalive.heard(now);
        self.bytes_in += u64::try_from(whole.len()).unwrap_or(u64::MAX);
        let mut bytes = &whole[..];
        while self.over().is_none() {
            match self.next(&mut bytes, whole, now) {
                Ok(true) => {}
                Ok(false) => break,
                Err(violation) => self.violated(violation),
            }
        }
    }

    /// The same for bytes that are somebody else's.
    #[cfg(test)]
    pub(super) fn receive(&mut self, bytes: &[u8], now: Instant) {
        self.reclaim();
        self.receive_shared(&Bytes::copy_from_slice(bytes), now);
    }

    /// Copies what was received before and is not read yet: its buffer is wanted again.
    pub(super) fn reclaim(&mut self) {
        for id in self.lent.drain(..) {
            if let Some(state) = self.streams.get_mut(&id) {
                state.unread.reclaim();
            }
        }
    }

    pub(super) const fn has_lent(&self) -> bool {
        !self.lent.is_empty()
    }

    fn next(&mut self, bytes: &mut &[u8], whole: &Bytes, now: Instant) -> Result<bool, Violation> {
        match self.incoming.next(bytes)? {
            None => return Ok(false),
            Some(Piece::Header(header)) => self.on_header(header, now)?,
            Some(Piece::Body { bytes, last }) => self.on_body(bytes, whole, last),
        }
        Ok(true)
    }

    fn on_header(&mut self, header: Header, now: Instant) -> Result<(), Violation> {
        self.body = None;
        match header.kind {
            Kind::Data | Kind::Window => self.on_stream(header, now),
            Kind::Ping if header.flags.has(Flags::ACK) => {
                self.keepalive.pong(header.length, now);
                Ok(())
            }
            Kind::Ping => self.out.pong(header.length),
            Kind::GoAway => {
                self.on_goodbye(header.length);
                Ok(())
            }
        }
    }

    fn on_stream(&mut self, header: Header, now: Instant) -> Result<(), Violation> {
        let id = header.stream;
        if id == 0 {
            return Err(Violation::StreamZero);
        }
        if header.flags.has(Flags::RST) {
            return self.on_reset(header);
        }
        if header.flags.has(Flags::SYN) {
            self.on_open(id, now)?;
        }
        let Some(state) = self.streams.get_mut(&id) else {
            return self.on_stray(header);
        };
        let ends = header.flags.has(Flags::FIN);
        if header.kind == Kind::Window {
            let window = state.send.window.checked_add(header.length);
            state.send.window = window.ok_or(Violation::WindowOverflow(id))?;
            self.woken
                .extend(state.writer.take_if(|_| header.length > 0));
        } else if header.length > 0 {
            if state.got_end {
                return Err(Violation::DataAfterEnd(id));
            }
            state.receive.take(header.length, id)?;
            self.body = Some(Body { stream: id, ends });
            return Ok(());
        }
        if ends {
            self.on_end(id);
        }
        Ok(())
    }

    fn on_body(&mut self, bytes: &[u8], whole: &Bytes, last: bool) {
        let Some(body) = self.body else {
            return;
        };
        if let Some(state) = self.streams.get_mut(&body.stream)
            && state.is_receiving()
        {
            if state.unread.add(bytes, whole) && self.lent.last() != Some(&body.stream) {
                self.lent.push(body.stream);
            }
            self.memory.hold(bytes.len());
            self.woken.extend(state.reader.take());
        }
        if last && body.ends {
            self.on_end(body.stream);
        }
    }

    fn on_open(&mut self, id: u32, now: Instant) -> Result<(), Violation> {
        if self.role.owns(id) {
            return Err(Violation::StreamId(id));
        }
        if self.streams.contains_key(&id) {
            return Err(Violation::Duplicate(id));
        }
        if !self.takes_streams() {
            return self.refuse(id);
        }
        self.refusals = self.refusals.saturating_sub(1);
        self.peer_open += 1;
        self.peer_held += 1;
        self.streams.insert(id, State::theirs(now));
        self.arrive(id, now)
    }

    /// Streams that ended for the peer but not for their holder here count half.
    fn takes_streams(&self) -> bool {
        self.peer_open < self.max_peer_streams
            && self.peer_held < self.max_peer_streams.saturating_mul(2)
            && self.arrived.len() < ACCEPT_BACKLOG
            && self.memory.has_room()
    }

    fn refuse(&mut self, id: u32) -> Result<(), Violation> {
        let full = if self.memory.has_room() {
            Bound::PeerStreams
        } else {
            Bound::Memory
        };
        bounds::hit(full);
        self.refused += 1;
        self.refusals += 1;
        if self.refusals > MAX_REFUSALS {
            return Err(Violation::TooManyStreams);
        }
        self.strays.refuse();
        self.out.refuse(id, Code::StreamLimit.into())
    }

    fn on_end(&mut self, id: u32) {
        if let Some(state) = self.streams.get_mut(&id) {
            state.got_end = true;
            self.woken.extend(state.reader.take());
        }
        self.settle(id);
    }

    fn on_reset(&mut self, header: Header) -> Result<(), Violation> {
        let Some(state) = self.streams.get_mut(&header.stream) else {
            return self.strays.frame();
        };
        let code = match header.kind {
            Kind::Window if header.length > 0 => Code::of_stream(header.length.into()),
            _ => Code::Aborted,
        };
        state.reset.get_or_insert(code);
        state.wake(&mut self.woken);
        self.settle(header.stream);
        Ok(())
    }

    /// A body that follows goes nowhere.
    fn on_stray(&mut self, header: Header) -> Result<(), Violation> {
        match header.kind {
            Kind::Data => self.strays.data(header.length),
            _ => self.strays.frame(),
        }
    }

    /// A normal goodbye opens no more streams and lets the others end; any other one is the end.
    fn on_goodbye(&mut self, reason: u32) {
        let code = code_of_goodbye(reason);
        self.goodbye = Some(code);
        if code != Code::Ok {
            self.end(MuxError::Closed(code));
        }
    }
}
