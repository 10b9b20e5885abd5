//! What a stream has received and nobody has read. An empty buffer owns no memory.

use std::collections::VecDeque;

use tokio::io::ReadBuf;

/// Chunk for bulk data, kept for re-use: below the size from which allocators map and unmap pages each time.
const BULK_CHUNK: usize = 64 * 1024;
/// A piece this long starts a bulk chunk: with shorter ones the rest of the chunk might stay unused.
const BULK_FROM: usize = 16 * 1024;
/// Smallest chunk: a stream of single bytes does not make one each.
const SMALL_CHUNK: usize = 512;
/// Bulk chunks that a session keeps for re-use (1 MiB): about what is under way between one read and the next.
const POOLED: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Buffer {
    chunks: VecDeque<Chunk>,
    len: usize,
}

#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    /// Where the unread part starts.
    at: usize,
}

/// The bulk chunks of a session that are not in use.
#[derive(Debug, Default)]
pub(super) struct Pool(Vec<Vec<u8>>);

impl Buffer {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn append(&mut self, mut bytes: &[u8], pool: &mut Pool) {
        self.len += bytes.len();
        while !bytes.is_empty() {
            let Some(chunk) = self.chunks.back_mut().filter(|chunk| chunk.room() > 0) else {
                let bytes = pool.chunk(bytes.len());
                self.chunks.push_back(Chunk { bytes, at: 0 });
                continue;
            };
            let (fits, rest) = bytes.split_at(chunk.room().min(bytes.len()));
            chunk.bytes.extend_from_slice(fits);
            bytes = rest;
        }
    }

    /// Moves as much as fits to `to`.
    pub(super) fn read(&mut self, to: &mut ReadBuf<'_>, pool: &mut Pool) -> usize {
        let before = to.remaining();
        while let Some(chunk) = self.chunks.front_mut() {
            let unread = &chunk.bytes[chunk.at..];
            let part = &unread[..unread.len().min(to.remaining())];
            to.put_slice(part);
            chunk.at += part.len();
            if chunk.at < chunk.bytes.len() {
                break;
            }
            self.retire(pool);
        }
        let read = before - to.remaining();
        self.len -= read;
        read
    }

    pub(super) fn clear(&mut self, pool: &mut Pool) -> usize {
        while !self.chunks.is_empty() {
            self.retire(pool);
        }
        std::mem::take(&mut self.len)
    }

    fn retire(&mut self, pool: &mut Pool) {
        if let Some(chunk) = self.chunks.pop_front() {
            pool.keep(chunk.bytes);
        }
        if self.chunks.is_empty() {
            self.chunks = VecDeque::new();
        }
    }
}

impl Chunk {
    fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }
}

impl Pool {
    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    fn chunk(&mut self, piece: usize) -> Vec<u8> {
        if piece < BULK_FROM {
            return Vec::with_capacity(piece.next_power_of_two().max(SMALL_CHUNK));
        }
        self.0
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(BULK_CHUNK))
    }

    fn keep(&mut self, mut chunk: Vec<u8>) {
        if chunk.capacity() >= BULK_CHUNK && self.0.len() < POOLED {
            chunk.clear();
            self.0.push(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(steps in prop::collection::vec((0..100_000_usize, 1..100_000_usize), 1..20)) {
            let (mut buffer, mut pool) = (Buffer::default(), Pool::default());
            let (mut wrote, mut read) = (0_usize, 0_usize);
            for (append, most) in steps {
                let bytes: Vec<u8> = (wrote..wrote + append).map(|i| (i % 251) as u8).collect();
                buffer.append(&bytes, &mut pool);
                wrote += append;
                let mut space = vec![0; most];
                let mut to = ReadBuf::new(&mut space);
                let n = buffer.read(&mut to, &mut pool);
                prop_assert_eq!(n, most.min(wrote - read));
                let expected: Vec<u8> = (read..read + n).map(|i| (i % 251) as u8).collect();
                prop_assert_eq!(to.filled(), &expected[..]);
                read += n;
                prop_assert_eq!(buffer.len(), wrote - read);
                prop_assert!(pool.0.len() <= POOLED);
                prop_assert!(buffer.len() > 0 || buffer.chunks.capacity() == 0);
            }
            prop_assert_eq!(buffer.clear(&mut pool), wrote - read);
        }

        #[test]
        fn memory_stays_in_proportion(pieces in prop::collection::vec(1..40_000_usize, 1..60)) {
            let (mut buffer, mut pool) = (Buffer::default(), Pool::default());
            for piece in pieces {
                buffer.append(&vec![0; piece], &mut pool);
            }
            let owned: usize = buffer.chunks.iter().map(|chunk| chunk.bytes.capacity()).sum();
            prop_assert!(owned <= 2 * buffer.len() + BULK_CHUNK, "{owned} for {}", buffer.len());
        }
    }
}
