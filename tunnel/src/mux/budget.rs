//! Memory of streams: what one session and what all sessions of a process may take.
//!
//! Two things count: unread bytes, and the growth of windows beyond the first 256 KiB. Growth may take half of a budget, so that
//! a few quick streams do not keep new ones out; when a budget is full, no new stream is taken or opened. What was promised
//! stays promised, so the true bound is the budget plus one first window for each stream that is open at that time, and one
//! [`STEP`] for each session.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::bounds::{self, Bound};

/// Unread bytes are told to the shared budget in such steps: one atomic operation for many frames.
const STEP: usize = 256 * 1024;

/// The memory that the sessions which share it may take.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
}

/// What one session takes of a [`Budget`], within a limit of its own. Gives it back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    limit: usize,
    grown: usize,
    held: usize,
    /// Of `held`, what the budget knows: a multiple of [`STEP`].
    told: usize,
    /// Wishes for a larger window that were not granted.
    pub(super) denied: u64,
}

impl Budget {
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
        }
    }

    /// Bytes in use, for metrics.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub const fn limit(&self) -> usize {
        self.limit
    }

    fn try_take(&self, bytes: usize, limit: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= limit);
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        self.used.fetch_update(set, get, more).is_ok()
    }

    fn take(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Share {
    pub(super) const fn new(budget: Arc<Budget>, limit: usize) -> Self {
        Self {
            budget,
            limit,
            grown: 0,
            held: 0,
            told: 0,
            denied: 0,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.grown + self.held < self.limit && self.budget.used() < self.budget.limit
    }

    /// Whether windows may grow by `bytes`; takes them if so.
    pub(super) fn try_grow(&mut self, bytes: usize) -> bool {
        let within = self.grown + self.held + bytes <= self.limit / 2
            && self.budget.try_take(bytes, self.budget.limit / 2);
        if within {
            self.grown += bytes;
        } else {
            self.denied += 1;
            bounds::hit(Bound::WindowGrowth);
        }
        within
    }

    pub(super) fn shrink(&mut self, bytes: usize) {
        self.grown -= bytes;
        self.budget.give(bytes);
    }

    /// `bytes` have come and nobody has read them.
    pub(super) fn hold(&mut self, bytes: usize) {
        self.held += bytes;
        if self.held - self.told >= STEP {
            let more = (self.held - self.told) / STEP * STEP;
            self.told += more;
            self.budget.take(more);
        }
    }

    pub(super) fn release(&mut self, bytes: usize) {
        self.held -= bytes;
        if self.told > self.held {
            let less = (self.told - self.held).div_ceil(STEP) * STEP;
            self.told -= less;
            self.budget.give(less);
        }
    }

    #[cfg(test)]
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    #[cfg(test)]
    pub(super) const fn grown(&self) -> usize {
        self.grown
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give(self.grown + self.told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_takes_half_and_everything_comes_back() {
        let budget = Arc::new(Budget::new(8 * STEP));
        let mut first = Share::new(Arc::clone(&budget), 100 * STEP);
        let mut second = Share::new(Arc::clone(&budget), 100 * STEP);
        assert!(first.try_grow(3 * STEP));
        assert!(
            !second.try_grow(2 * STEP),
            "beyond half of the shared budget"
        );
        assert_eq!(second.denied, 1);
        second.hold(5 * STEP + 1);
        assert!(!first.has_room() && !second.has_room());
        second.release(1);
        assert_eq!(budget.used(), 8 * STEP);
        second.release(1);
        assert_eq!(budget.used(), 7 * STEP);
        assert!(first.has_room());
        first.shrink(STEP);
        drop((first, second));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_session_has_a_limit_of_its_own() {
        let mut share = Share::new(Arc::new(Budget::new(usize::MAX)), 4 * STEP);
        assert!(share.try_grow(2 * STEP));
        assert!(!share.try_grow(1));
        share.hold(2 * STEP);
        assert!(!share.has_room());
    }
}
