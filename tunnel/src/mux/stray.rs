//! Frames for streams that we have forgotten: what was under way when we did. An honest peer never sends more than that.

use super::{error::Violation, flow::FIRST_WINDOW, flow::size};

/// Frames without data that may be under way for one forgotten stream: a peer that gives credit for every 4 KiB of the
/// largest window.
const FRAMES: u32 = 4096;
/// Such frames for which no stream was forgotten before: some libraries greet a stream after its reset.
const FIRST_FRAMES: u32 = 64;

#[derive(Debug)]
pub(super) struct Strays {
    bytes: usize,
    frames: u32,
    pub(super) seen: u64,
}

impl Strays {
    pub(super) const fn new() -> Self {
        Self {
            bytes: 0,
            frames: FIRST_FRAMES,
            seen: 0,
        }
    }

    /// A stream is forgotten on which the peer might have sent `left` more bytes.
    pub(super) fn forget(&mut self, left: u32) {
        self.bytes = self.bytes.saturating_add(size(left));
        self.frames = self.frames.saturating_add(FRAMES);
    }

    /// A stream is refused: the peer may have filled its first window.
    pub(super) fn refuse(&mut self) {
        self.forget(FIRST_WINDOW);
    }

    pub(super) fn frame(&mut self) -> Result<(), Violation> {
        self.seen += 1;
        self.frames = self.frames.checked_sub(1).ok_or(Violation::Strays)?;
        Ok(())
    }

    pub(super) fn data(&mut self, length: u32) -> Result<(), Violation> {
        if length == 0 {
            return self.frame();
        }
        self.seen += 1;
        let left = self.bytes.checked_sub(size(length));
        self.bytes = left.ok_or(Violation::Strays)?;
        Ok(())
    }
}
