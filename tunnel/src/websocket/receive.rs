//! What comes in: frames taken apart, as far as their bytes are there. Pure.

use super::{
    Violation,
    frame::{Head, MAX_CONTROL, MAX_HEAD, Opcode},
    stream::Side,
};

/// Reads frames of the other side.
#[derive(Debug)]
pub(super) struct Receiver {
    side: Side,
    /// Between the first frame of a message and its last.
    in_message: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The first bytes of a head.
    Head {
        bytes: [u8; MAX_HEAD],
        have: usize,
    },
    Body {
        head: Head,
        done: u64,
    },
    Control {
        head: Head,
        body: [u8; MAX_CONTROL],
        have: usize,
    },
}

/// What the bytes to come are for.
pub(super) enum Wanted<'a> {
    /// A head or a control frame: exactly so many bytes, to be put here.
    Exactly(&'a mut [u8]),
    /// The tunnel: at most so many, to be unmasked with [`Receiver::took`].
    Body(u64),
}

/// What a control frame asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Ping(Vec<u8>),
    /// With the peer's code, if it gave one.
    Close(Option<u16>),
}

impl Receiver {
    pub(super) const fn new(side: Side) -> Self {
        Self {
            side,
            in_message: false,
            state: State::start(),
        }
    }

    pub(super) fn wanted(&mut self) -> Wanted<'_> {
        match &mut self.state {
            State::Head { bytes, have } => {
                let whole = head_length(bytes, *have);
                Wanted::Exactly(&mut bytes[*have..whole])
            }
            State::Body { head, done } => Wanted::Body(head.length - *done),
            State::Control { head, body, have } => {
                Wanted::Exactly(&mut body[*have..head.length as usize])
            }
        }
    }

    /// `count` bytes were put where [`Wanted::Exactly`] said.
    pub(super) fn put(&mut self, count: usize) -> Result<Option<Event>, Violation> {
        match &mut self.state {
            State::Head { bytes, have } => {
                *have += count;
                let (bytes, have) = (*bytes, *have);
                if have < head_length(&bytes, have) {
                    return Ok(None);
                }
                let head = Head::read(&bytes[..have])?;
                self.begin(head)
            }
            State::Control { have, .. } => {
                *have += count;
                Ok(self.end_of_control())
            }
            State::Body { .. } => Ok(None),
        }
    }

    /// These bytes of the tunnel came.
    pub(super) fn took(&mut self, bytes: &mut [u8]) {
        let State::Body { head, done } = &mut self.state else {
            return;
        };
        if let Some(mask) = head.mask {
            super::frame::mask(bytes, mask, *done);
        }
        *done += bytes.len() as u64;
        if *done == head.length {
            self.state = State::start();
        }
    }

    fn begin(&mut self, head: Head) -> Result<Option<Event>, Violation> {
        if head.mask.is_some() != (self.side == Side::Server) {
            return Err(Violation::Mask);
        }
        match head.opcode {
            Opcode::Binary | Opcode::Continuation => {
                if (head.opcode == Opcode::Continuation) != self.in_message {
                    return Err(Violation::Sequence);
                }
                self.in_message = !head.fin;
                self.state = if head.length == 0 {
                    State::start()
                } else {
                    State::Body { head, done: 0 }
                };
                Ok(None)
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                self.state = State::Control {
                    head,
                    body: [0; MAX_CONTROL],
                    have: 0,
                };
                Ok(self.end_of_control())
            }
        }
    }

    fn end_of_control(&mut self) -> Option<Event> {
        let State::Control { head, body, have } = &mut self.state else {
            return None;
        };
        let body = &mut body[..head.length as usize];
        if *have < body.len() {
            return None;
        }
        if let Some(mask) = head.mask {
            super::frame::mask(body, mask, 0);
        }
        let event = match head.opcode {
            Opcode::Ping => Some(Event::Ping(body.to_vec())),
            Opcode::Close => {
                let code = body.first_chunk().copied().map(u16::from_be_bytes);
                Some(Event::Close(code))
            }
            // Nobody here pings; what comes unasked is allowed (section 5.5.3).
            _ => None,
        };
        self.state = State::start();
        event
    }
}

impl State {
    const fn start() -> Self {
        Self::Head {
            bytes: [0; MAX_HEAD],
            have: 0,
        }
    }
}

fn head_length(bytes: &[u8; MAX_HEAD], have: usize) -> usize {
    if have < 2 {
        2
    } else {
        Head::length_of([bytes[0], bytes[1]])
    }
}
