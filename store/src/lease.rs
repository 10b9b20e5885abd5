//! Leases: keys that go when their owner is silent for too long.

use std::{fmt, time::Duration};

/// Shorter leases are refused: etcd's own leases lose track below its election timeout, and a keep-alive every third of it would
/// be load without use.
pub const MIN_LEASE_TTL: Duration = Duration::from_secs(5);
/// Longer leases are refused: what should outlive a day of silence is not a lease.
pub const MAX_LEASE_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Keys of one lease. They all go in one revision, and that must stay small enough to be watched.
pub const MAX_LEASE_KEYS: usize = 5000;

/// Names a lease. Positive as a signed number too, since that is how etcd counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(u64);

impl LeaseId {
    /// `None` for what no store gives out: zero, which stands for "no lease", and more than 63 bits.
    pub const fn new(id: u64) -> Option<Self> {
        if id == 0 || id > i64::MAX as u64 {
            None
        } else {
            Some(Self(id))
        }
    }

    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}
