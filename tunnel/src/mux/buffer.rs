//! What a stream has received and nobody has read. An empty buffer owns no memory.
//!
//! Long pieces are lent: they stay where the connection was read to, until the next read takes place. Whoever reads at once has
//! his bytes without a copy; what is left then is copied, so that a slow reader never keeps a read buffer for a few bytes, and
//! what a stream holds is what its budget counts.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::ReadBuf;

/// Largest chunk: below the size from which allocators map and unmap pages each time.
const BULK_CHUNK: usize = 64 * 1024;
/// A piece this long starts a bulk chunk: with shorter ones the rest of the chunk might stay unused.
const BULK_FROM: usize = 16 * 1024;
/// Smallest chunk: a stream of single bytes does not make one each.
const SMALL_CHUNK: usize = 512;
/// Shorter pieces are cheaper to copy than to share.
const LEND_FROM: usize = 4 * 1024;

#[derive(Debug, Default)]
pub(super) struct Buffer {
    chunks: VecDeque<Chunk>,
    len: usize,
    /// Chunks that are lent: the latest but for own ones behind them.
    lent: usize,
}

#[derive(Debug)]
enum Chunk {
    /// Can take more.
    Open(BytesMut),
    /// Has been looked at, and takes no more.
    Whole(Bytes),
    /// Part of a read buffer.
    Lent(Bytes),
}

impl Buffer {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds `piece`, a part of `whole`. Gives whether it is lent.
    pub(super) fn add(&mut self, piece: &[u8], whole: &Bytes) -> bool {
        let lends = piece.len() >= LEND_FROM;
        if lends {
            self.len += piece.len();
            self.lent += 1;
            self.chunks.push_back(Chunk::Lent(whole.slice_ref(piece)));
        } else {
            self.append(piece);
        }
        lends
    }

    fn append(&mut self, bytes: &[u8]) {
        self.len += bytes.len();
        let at = self.chunks.len();
        self.insert(at, bytes);
    }

    /// Copies `bytes` to where they stand in the order, filling the chunk before.
    fn insert(&mut self, mut at: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let before = at.checked_sub(1).and_then(|at| self.chunks.get_mut(at));
            match before {
                Some(Chunk::Open(chunk)) if chunk.capacity() > chunk.len() => {
                    let room = chunk.capacity() - chunk.len();
                    let (fits, rest) = bytes.split_at(room.min(bytes.len()));
                    chunk.extend_from_slice(fits);
                    bytes = rest;
                }
                _ => {
                    let chunk = BytesMut::with_capacity(chunk_for(bytes.len()));
                    self.chunks.insert(at, Chunk::Open(chunk));
                    at += 1;
                }
            }
        }
    }

    /// Copies what is still lent.
    pub(super) fn reclaim(&mut self) {
        let is_lent = |chunk: &Chunk| matches!(chunk, Chunk::Lent(_));
        while self.lent > 0
            && let Some(at) = self.chunks.iter().rposition(is_lent)
        {
            // The first of a run, so that the copies fill chunks in order.
            let run = self.chunks.range(..=at).rev().take_while(|c| is_lent(c));
            let first = at + 1 - run.count();
            let lent: Vec<Chunk> = self.chunks.drain(first..=at).collect();
            self.lent -= lent.len();
            let mut place = first;
            for chunk in lent {
                let before = self.chunks.len();
                self.insert(place, chunk.bytes());
                place += self.chunks.len() - before;
            }
        }
    }

    /// Moves as much as fits to `to`.
    pub(super) fn read(&mut self, to: &mut ReadBuf<'_>) -> usize {
        let before = to.remaining();
        for chunk in &self.chunks {
            let bytes = chunk.bytes();
            let part = &bytes[..bytes.len().min(to.remaining())];
            to.put_slice(part);
        }
        let read = before - to.remaining();
        self.consume(read);
        read
    }

    /// Puts the first pieces into `to`, as many as it has places for, and gives how many that are.
    pub(super) fn peek(&mut self, to: &mut [Bytes]) -> usize {
        let places = self.chunks.iter_mut().zip(to);
        places.map(|(chunk, place)| *place = chunk.share()).count()
    }

    /// Takes off the first `bytes`.
    pub(super) fn consume(&mut self, mut bytes: usize) {
        self.len -= bytes;
        while let Some(chunk) = self.chunks.front_mut() {
            let part = bytes.min(chunk.bytes().len());
            chunk.advance(part);
            bytes -= part;
            if !chunk.bytes().is_empty() {
                return;
            }
            self.lent -= usize::from(matches!(chunk, Chunk::Lent(_)));
            self.chunks.pop_front();
        }
        self.chunks = VecDeque::new();
    }

    pub(super) fn clear(&mut self) -> usize {
        std::mem::take(self).len
    }
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Open(bytes) => bytes,
            Self::Whole(bytes) | Self::Lent(bytes) => bytes,
        }
    }

    fn advance(&mut self, bytes: usize) {
        match self {
            Self::Open(chunk) => chunk.advance(bytes),
            Self::Whole(chunk) | Self::Lent(chunk) => chunk.advance(bytes),
        }
    }

    fn share(&mut self) -> Bytes {
        if let Self::Open(bytes) = self {
            *self = Self::Whole(std::mem::take(bytes).freeze());
        }
        match self {
            Self::Open(bytes) => bytes.clone().freeze(),
            Self::Whole(bytes) | Self::Lent(bytes) => bytes.clone(),
        }
    }
}

/// A piece that fills half of its chunk wastes no more than another piece would.
fn chunk_for(piece: usize) -> usize {
    if piece < BULK_FROM {
        piece.next_power_of_two().max(SMALL_CHUNK)
    } else {
        BULK_CHUNK
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Add(usize),
        Read(usize),
        /// Look at so many pieces and take so much of them.
        Drain(usize, usize),
        Reclaim,
    }

    fn step() -> impl Strategy<Value = Step> {
        let length = || prop_oneof![1..600_usize, 1..100_000_usize];
        prop_oneof![
            3 => length().prop_map(Step::Add),
            1 => length().prop_map(Step::Read),
            2 => (1..6_usize, length()).prop_map(|(pieces, most)| Step::Drain(pieces, most)),
            1 => Just(Step::Reclaim),
        ]
    }

    fn pattern(from: usize, to: usize) -> Vec<u8> {
        (from..to).map(|i| (i % 251) as u8).collect()
    }

    fn add(buffer: &mut Buffer, bytes: Vec<u8>) {
        let whole = Bytes::from(bytes);
        buffer.add(&whole, &whole);
    }

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(steps in prop::collection::vec(step(), 1..40)) {
            let mut buffer = Buffer::default();
            let (mut wrote, mut read) = (0_usize, 0_usize);
            for step in steps {
                match step {
                    Step::Add(length) => {
                        add(&mut buffer, pattern(wrote, wrote + length));
                        wrote += length;
                    }
                    Step::Read(most) => {
                        let mut space = vec![0; most];
                        let mut to = ReadBuf::new(&mut space);
                        let n = buffer.read(&mut to);
                        prop_assert_eq!(n, most.min(wrote - read));
                        prop_assert_eq!(to.filled(), &pattern(read, read + n)[..]);
                        read += n;
                    }
                    Step::Drain(places, most) => {
                        let mut pieces = vec![Bytes::new(); places];
                        let count = buffer.peek(&mut pieces);
                        let seen = pieces[..count].concat();
                        prop_assert_eq!(&seen[..], &pattern(read, read + seen.len())[..]);
                        prop_assert!(count == places || seen.len() == buffer.len());
                        buffer.consume(most.min(seen.len()));
                        read += most.min(seen.len());
                    }
                    Step::Reclaim => {
                        buffer.reclaim();
                        prop_assert_eq!(buffer.lent, 0);
                    }
                }
                let lent = |chunk: &&Chunk| matches!(chunk, Chunk::Lent(_));
                prop_assert_eq!(buffer.chunks.iter().filter(lent).count(), buffer.lent);
                prop_assert_eq!(buffer.len(), wrote - read);
                prop_assert!(buffer.len() > 0 || buffer.chunks.capacity() == 0);
            }
            prop_assert_eq!(buffer.clear(), wrote - read);
        }

        #[test]
        fn memory_stays_in_proportion(pieces in prop::collection::vec(1..40_000_usize, 1..60)) {
            let mut buffer = Buffer::default();
            for piece in pieces {
                add(&mut buffer, vec![0; piece]);
                buffer.reclaim();
            }
            let owned: usize = buffer.chunks.iter().map(|chunk| match chunk {
                Chunk::Open(bytes) => bytes.capacity(),
                Chunk::Whole(bytes) | Chunk::Lent(bytes) => bytes.len(),
            }).sum();
            prop_assert!(owned <= 2 * buffer.len() + BULK_CHUNK, "{owned} for {}", buffer.len());
        }
    }
}
