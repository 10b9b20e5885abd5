//! Buffers that are lent for as long as bytes are in hand, so that a stream at rest holds none.

use std::sync::{Arc, Mutex, PoisonError};

/// As large as four TLS records: fewer system calls, still in the cache.
pub(crate) const BUFFER_LEN: usize = 64 * 1024;
/// Buffers kept for the next borrower: 4 MiB a process. Beyond it they are given back to the allocator.
const KEPT: usize = 64;

#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Box<[u8]>>>>);

/// A borrowed buffer that goes back when dropped.
#[derive(Debug)]
pub(crate) struct Borrowed {
    bytes: Box<[u8]>,
    home: Buffers,
}

impl Buffers {
    pub(crate) fn borrow(&self) -> Borrowed {
        let kept = self.lock().pop();
        Borrowed {
            bytes: kept.unwrap_or_else(|| vec![0; BUFFER_LEN].into()),
            home: self.clone(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Box<[u8]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Borrowed {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let mut kept = self.home.lock();
        if kept.len() < KEPT {
            kept.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
impl Buffers {
    /// Buffers at home now.
    pub(crate) fn kept(&self) -> usize {
        self.lock().len()
    }
}
