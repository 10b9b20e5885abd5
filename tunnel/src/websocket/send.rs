//! What goes out: whole frames in one buffer, which is bounded. Pure.

use super::{
    frame::{Head, MAX_CONTROL, Opcode, mask},
    stream::Side,
};

/// The longest body of a frame that is made here: some TLS records.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// A buffer that idles keeps no more than this.
const KEPT: usize = 4 * 1024;

#[derive(Debug)]
pub(super) struct Sender {
    side: Side,
    frames: Vec<u8>,
    sent: usize,
    /// The newest ping: older ones need no answer of their own (RFC 6455, section 5.5.3).
    pong: Option<Vec<u8>>,
    closed: bool,
}

impl Sender {
    pub(super) const fn new(side: Side) -> Self {
        Self {
            side,
            frames: Vec::new(),
            sent: 0,
            pong: None,
            closed: false,
        }
    }

    /// What is to leave.
    pub(super) fn rest(&self) -> &[u8] {
        &self.frames[self.sent..]
    }

    pub(super) fn left(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.frames.len() {
            self.sent = 0;
            self.frames.clear();
            self.frames.shrink_to(KEPT);
            if let Some(pong) = self.pong.take() {
                self.control(Opcode::Pong, &pong);
            }
        }
    }

    /// Takes as much of `bytes` as one frame holds. To be called when nothing is left to leave.
    pub(super) fn body(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(MAX_BODY);
        self.frame(Opcode::Binary, &bytes[..count]);
        count
    }

    pub(super) fn pong(&mut self, body: Vec<u8>) {
        if self.closed {
            return;
        }
        if self.rest().is_empty() {
            self.control(Opcode::Pong, &body);
        } else {
            self.pong = Some(body);
        }
    }

    /// The last frame.
    pub(super) fn close(&mut self, code: Option<u16>) {
        if !std::mem::replace(&mut self.closed, true) {
            self.pong = None;
            let code = code.map(u16::to_be_bytes);
            self.control(Opcode::Close, code.as_ref().map_or(&[], |code| &code[..]));
        }
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    fn control(&mut self, opcode: Opcode, body: &[u8]) {
        self.frame(opcode, &body[..body.len().min(MAX_CONTROL)]);
    }

    fn frame(&mut self, opcode: Opcode, body: &[u8]) {
        // A new one for each frame, that nobody who chooses the body can guess (section 5.3).
        let key = (self.side == Side::Client).then(rand::random::<[u8; 4]>);
        let head = Head {
            fin: true,
            opcode,
            length: body.len() as u64,
            mask: key,
        };
        head.write(&mut self.frames);
        let start = self.frames.len();
        self.frames.extend_from_slice(body);
        if let Some(key) = key {
            mask(&mut self.frames[start..], key, 0);
        }
    }
}
