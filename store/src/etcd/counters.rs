//! Counts of what the connection to etcd went through and of each bound that was hit.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EtcdCounters {
    /// Connections to a member that were made and checked; all but the first are reconnects.
    pub connects: u64,
    /// Attempts to connect to a member that failed.
    pub connects_failed: u64,
    /// Calls, and silent watches, given up because the member did not answer in time.
    pub deadlines: u64,
    /// Authentication tokens that had expired and were asked for anew.
    pub auth_renewals: u64,
    /// Commits of which nobody knows whether they happened.
    pub unknown: u64,
    /// Watches and reads that asked for what etcd has compacted.
    pub compacted: u64,
    /// Watches that went on at their revision after their connection was lost.
    pub watches_resumed: u64,
    /// Parts of events that were too large for one message.
    pub fragments: u64,
    /// Pages that were too large for one message and were asked for again in smaller ones.
    pub pages_shrunk: u64,
    /// Leases that turned out to have ended.
    pub leases_gone: u64,
    /// Commits refused because a lease had as many keys as it may have.
    pub leases_full: u64,
    /// Keys under our prefix that are none of ours; they are passed over.
    pub foreign_keys: u64,
}

macro_rules! tally {
    ($($name:ident),* $(,)?) => {
        #[derive(Debug, Default)]
        pub(super) struct Tally {
            $(pub(super) $name: Count,)*
        }

        impl Tally {
            pub(super) fn counters(&self) -> EtcdCounters {
                EtcdCounters { $($name: self.$name.0.load(Relaxed),)* }
            }
        }
    };
}

tally! {
    connects,
    connects_failed,
    deadlines,
    auth_renewals,
    unknown,
    compacted,
    watches_resumed,
    fragments,
    pages_shrunk,
    leases_gone,
    leases_full,
    foreign_keys,
}

#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn up(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}
