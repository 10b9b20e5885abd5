//! Counts of what the store did and of each bound that was hit.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Commits that changed something.
    pub commits: u64,
    pub conflicts: u64,
    /// Writes to the disk; each made one or more commits durable.
    pub syncs: u64,
    pub leases_expired: u64,
    /// Leases refused because there were too many.
    pub leases_refused: u64,
    /// Watches and reads that asked for what the history has forgotten.
    pub compacted: u64,
    /// Changes that found the writer's queue full and had to wait.
    pub queue_full: u64,
    /// Changes that waited for a place in the queue for too long.
    pub queue_timeouts: u64,
    /// Keys refused because their lease had as many as it may.
    pub lease_full: u64,
    /// Transactions refused because they were too large.
    pub too_large: u64,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) commits: Count,
    pub(super) conflicts: Count,
    pub(super) syncs: Count,
    pub(super) leases_expired: Count,
    pub(super) leases_refused: Count,
    pub(super) compacted: Count,
    pub(super) queue_full: Count,
    pub(super) queue_timeouts: Count,
    pub(super) lease_full: Count,
    pub(super) too_large: Count,
}

#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Tally {
    pub(super) fn counters(&self) -> Counters {
        Counters {
            commits: self.commits.get(),
            conflicts: self.conflicts.get(),
            syncs: self.syncs.get(),
            leases_expired: self.leases_expired.get(),
            leases_refused: self.leases_refused.get(),
            compacted: self.compacted.get(),
            queue_full: self.queue_full.get(),
            queue_timeouts: self.queue_timeouts.get(),
            lease_full: self.lease_full.get(),
            too_large: self.too_large.get(),
        }
    }
}
