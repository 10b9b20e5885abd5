//! Cuts the received bytes into headers and bodies, wherever the reads were cut. A body is handed on piece by piece, so a frame
//! of any length needs no buffer of its own.

use super::{
    error::Violation,
    frame::{HEADER, Header, Kind},
};

#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// The start of a header that a read cut in two.
    head: [u8; HEADER],
    filled: usize,
    /// Bytes of the current body that are still to come.
    left: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Header(Header),
    /// Part of the body of the header before it.
    Body {
        bytes: &'a [u8],
        last: bool,
    },
}

impl Incoming {
    /// Takes the next piece off `bytes`; `None` when it needs more of them.
    pub(super) fn next<'a>(
        &mut self,
        bytes: &mut &'a [u8],
    ) -> Result<Option<Piece<'a>>, Violation> {
        if bytes.is_empty() {
            return Ok(None);
        }
        if self.left == 0 {
            return self.header(bytes);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let piece = take(bytes, most);
        // At most `left`, so it fits and does not wrap.
        self.left -= u32::try_from(piece.len()).unwrap_or(self.left);
        Ok(Some(Piece::Body {
            bytes: piece,
            last: self.left == 0,
        }))
    }

    fn header<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<Piece<'a>>, Violation> {
        let part = take(bytes, HEADER - self.filled);
        self.head[self.filled..self.filled + part.len()].copy_from_slice(part);
        self.filled += part.len();
        if self.filled < HEADER {
            return Ok(None);
        }
        self.filled = 0;
        let header = Header::decode(&self.head)?;
        if header.kind == Kind::Data {
            self.left = header.length;
        }
        Ok(Some(Piece::Header(header)))
    }
}

fn take<'a>(bytes: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (piece, rest) = bytes.split_at(most.min(bytes.len()));
    *bytes = rest;
    piece
}
