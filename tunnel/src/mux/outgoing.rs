//! Frames of all streams on their way out, in one buffer that is written at once.

use std::{collections::VecDeque, task::Poll};

use bytes::{BufMut, buf::Limit};

use super::{
    error::Violation,
    flow::size,
    frame::{Flags, HEADER, Header, Kind},
};

/// From this length on the buffer takes no more data until it is written: what one write should carry (256 KiB). The last
/// frame may reach beyond it by its own length, and control frames do not wait.
pub(super) const DATA_BOUND: usize = 256 * 1024;
/// Bytes of answers to the peer's frames (pings, refused streams) that may wait to be written: an honest peer reads its
/// answers, and 5000 of them at once are far more than it asks for.
const ANSWER_BOUND: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    /// The data frame at the end of `bytes`, which may grow.
    tail: Option<Tail>,
    answers: usize,
    /// Streams that wait for room, the first at the front.
    queue: VecDeque<u32>,
    /// How often a stream had to wait.
    pub(super) waits: u64,
}

#[derive(Clone, Copy, Debug)]
struct Tail {
    stream: u32,
    /// Where its header starts.
    at: usize,
    length: u32,
}

/// Where a stream stands in the queue for room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Turn {
    #[default]
    None,
    Queued,
    /// Came to the front and was woken, for so many bytes.
    Given(u32),
}

impl Outgoing {
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn anyone_waits(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether `stream` may append data now; else it is in the queue.
    pub(super) fn admits(&mut self, stream: u32, turn: &mut Turn) -> bool {
        let has_room = self.bytes.len() < DATA_BOUND;
        match turn {
            Turn::None if has_room && self.queue.is_empty() => return true,
            Turn::Given(_) if has_room => return true,
            Turn::None => self.queue.push_back(stream),
            // Somebody was quicker: it stays first.
            Turn::Given(_) => self.queue.push_front(stream),
            Turn::Queued => return false,
        }
        *turn = Turn::Queued;
        self.waits += 1;
        false
    }

    pub(super) fn first_in_queue(&self) -> Option<u32> {
        self.queue.front().copied()
    }

    pub(super) fn pop_queue(&mut self) {
        self.queue.pop_front();
    }

    pub(super) fn leave_queue(&mut self, stream: u32) {
        self.queue.retain(|queued| *queued != stream);
    }

    /// Length of the data frame of `stream` that can take more bytes.
    pub(super) fn open_frame(&self, stream: u32) -> Option<u32> {
        let tail = self.tail.filter(|tail| tail.stream == stream)?;
        Some(tail.length)
    }

    /// Appends data, to the last frame if that is the stream's and `limit` lets it; gives the length of the frame.
    pub(super) fn data(&mut self, stream: u32, flags: Flags, payload: &[u8], limit: u32) -> u32 {
        let added = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let open = self.tail.filter(|tail| {
            tail.stream == stream
                && flags == Flags::NONE
                && tail.length.saturating_add(added) <= limit
        });
        let tail = if let Some(tail) = open {
            let length = tail.length + added;
            let at = tail.at + HEADER - size_of::<u32>();
            self.bytes[at..tail.at + HEADER].copy_from_slice(&length.to_be_bytes());
            Tail { length, ..tail }
        } else {
            let at = self.bytes.len();
            self.frame(Kind::Data, flags, stream, added);
            Tail {
                stream,
                at,
                length: added,
            }
        };
        self.bytes.extend_from_slice(payload);
        self.tail = Some(tail);
        tail.length
    }

    /// Appends a data frame of what `fill` brings, which is `most` bytes at most; none when it brings nothing.
    pub(super) fn fill<E>(
        &mut self,
        stream: u32,
        most: usize,
        fill: impl FnOnce(&mut Limit<&mut Vec<u8>>) -> Poll<Result<(), E>>,
        flags: impl FnOnce() -> Flags,
    ) -> Poll<Result<usize, E>> {
        let at = self.bytes.len();
        self.bytes.reserve(HEADER + most);
        self.bytes.extend_from_slice(&[0; HEADER]);
        let filled = fill(&mut (&mut self.bytes).limit(most));
        let length = self.bytes.len() - at - HEADER;
        if length == 0 || !matches!(filled, Poll::Ready(Ok(()))) {
            self.bytes.truncate(at);
            return filled.map_ok(|()| 0);
        }
        let header = Header {
            kind: Kind::Data,
            flags: flags(),
            stream,
            length: u32::try_from(length).unwrap_or(u32::MAX),
        };
        self.bytes[at..at + HEADER].copy_from_slice(&header.encode());
        self.tail = Some(Tail {
            stream,
            at,
            length: header.length,
        });
        Poll::Ready(Ok(length))
    }

    /// Credit, and what goes with it: SYN, ACK, FIN. An end has a frame of its own, as `hashicorp/yamux` lets a reader see
    /// the FIN of a data frame before its data.
    pub(super) fn window(&mut self, stream: u32, flags: Flags, credit: u32) {
        self.frame(Kind::Window, flags, stream, credit);
    }

    pub(super) fn reset(&mut self, stream: u32, code: u8) {
        self.frame(Kind::Window, Flags::RST, stream, code.into());
    }

    pub(super) fn ping(&mut self, id: u32) {
        self.frame(Kind::Ping, Flags::SYN, 0, id);
    }

    pub(super) fn go_away(&mut self, reason: u32) {
        self.frame(Kind::GoAway, Flags::NONE, 0, reason);
    }

    pub(super) fn pong(&mut self, id: u32) -> Result<(), Violation> {
        self.answer()?;
        self.frame(Kind::Ping, Flags::ACK, 0, id);
        Ok(())
    }

    pub(super) fn refuse(&mut self, stream: u32, code: u8) -> Result<(), Violation> {
        self.answer()?;
        self.reset(stream, code);
        Ok(())
    }

    /// Exchanges the buffer for `empty`.
    pub(super) fn swap(&mut self, empty: &mut Vec<u8>) {
        std::mem::swap(&mut self.bytes, empty);
        self.tail = None;
        self.answers = 0;
    }

    /// Gives memory back that nothing has needed for a while.
    pub(super) fn trim(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    fn answer(&mut self) -> Result<(), Violation> {
        self.answers += HEADER;
        if self.answers > ANSWER_BOUND {
            return Err(Violation::Flood);
        }
        Ok(())
    }

    fn frame(&mut self, kind: Kind, flags: Flags, stream: u32, length: u32) {
        let header = Header {
            kind,
            flags,
            stream,
            length,
        };
        self.tail = None;
        self.bytes.extend_from_slice(&header.encode());
    }
}

impl Turn {
    /// The most that may be sent of `wanted` bytes.
    pub(super) fn most(self, wanted: usize) -> usize {
        match self {
            Self::Given(left) => wanted.min(size(left)),
            Self::None | Self::Queued => wanted,
        }
    }

    /// `sent` bytes of it are used.
    pub(super) fn spend(&mut self, sent: usize) {
        if let Self::Given(left) = *self {
            let sent = u32::try_from(sent).unwrap_or(u32::MAX);
            *self = left
                .checked_sub(sent)
                .filter(|left| *left > 0)
                .map_or(Self::None, Self::Given);
        }
    }
}
