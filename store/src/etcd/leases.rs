//! Leases: etcd lets them end, we count what hangs on them.
//!
//! etcd lets a lease have any number of keys, and would end them all in one revision. So this counts the keys that went under each
//! lease through this store; a lease is used by the process that it was granted to, and by no other.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    failure::{Begun, Failure},
    links::{Links, Patience},
    namespace,
};
use crate::{
    Key, LeaseId, MAX_LEASE_KEYS, MAX_LEASE_TTL, MIN_LEASE_TTL, Operation, StoreError, Transaction,
};

/// A keep-alive is small. It goes to another member before the shortest lease is at its end, and this is also how soon everyone in
/// a process that holds leases learns that a member hangs.
const KEEP_ALIVE: Patience = Patience {
    attempt: Duration::from_millis(1500),
    whole: Duration::from_secs(4),
};
/// Granting and revoking go through the log of etcd, as commits do.
const CHANGE: Patience = Patience {
    attempt: Duration::from_secs(3),
    whole: Duration::from_secs(6),
};

pub(super) async fn grant(links: &Links, ttl: Duration) -> Result<LeaseId, StoreError> {
    if !(MIN_LEASE_TTL..=MAX_LEASE_TTL).contains(&ttl) {
        return Err(StoreError::LeaseTtl(ttl));
    }
    // Rounded up: whoever keeps it alive in time for the shorter one is in time.
    let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    // Granting twice leaves a lease over that ends by itself.
    let asked = links.repeat(CHANGE, |client| async move {
        client.lease_client().grant(seconds, None).await
    });
    let granted = asked.await.map_err(Failure::harmless)?;
    namespace::lease(granted.id())
        .ok_or_else(|| StoreError::Unavailable("etcd granted a lease without a number".into()))
}

pub(super) async fn keep_alive(
    links: &Links,
    leases: &Leases,
    lease: LeaseId,
) -> Result<(), StoreError> {
    // A stream for one question: leases are few and asked for every few seconds, and a stream that stays would have to be looked
    // after when its member goes.
    let asked = links.repeat(KEEP_ALIVE, |client| async move {
        let number = namespace::lease_number(lease);
        client.lease_client().keep_alive(number).await.map(|_| ())
    });
    match asked.await {
        Err(Failure::LeaseNotFound) => Err(leases.gone(links, lease)),
        answer => answer.map_err(Failure::harmless),
    }
}

pub(super) async fn revoke(
    links: &Links,
    leases: &Leases,
    lease: LeaseId,
) -> Result<(), StoreError> {
    let number = namespace::lease_number(lease);
    let revoke = |client: etcd_client::Client| async move {
        client.lease_client().revoke(number).await.map(|_| ())
    };
    let mut asked = links.once(CHANGE, revoke).await;
    let begun = matches!(
        asked,
        Err(Failure::Away {
            begun: Begun::Perhaps,
            ..
        })
    );
    if begun {
        asked = links.once(CHANGE, revoke).await;
    }
    match asked {
        // The first try did it.
        Err(Failure::LeaseNotFound) if begun => {}
        Err(Failure::LeaseNotFound) => return Err(leases.gone(links, lease)),
        answer => answer.map_err(Failure::of_change)?,
    }
    leases.forget(lease);
    Ok(())
}

pub(super) async fn living(links: &Links, lease: LeaseId) -> Result<bool, StoreError> {
    let number = namespace::lease_number(lease);
    let asked = links.repeat(CHANGE, |client| async move {
        client.lease_client().time_to_live(number, None).await
    });
    Ok(asked.await.map_err(Failure::harmless)?.ttl() > 0)
}

/// How many keys each lease has, as far as they went through here. It may count too many, never too few.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<Keys>);

#[derive(Debug, Default)]
struct Keys {
    count: HashMap<LeaseId, usize>,
    of: HashMap<Key, LeaseId>,
}

/// Places for the keys of one transaction. Dropped, they are taken for used: the transaction may have happened.
#[derive(Debug)]
pub(super) struct Reserved<'a> {
    leases: &'a Leases,
    new: Vec<(Key, LeaseId)>,
}

impl Leases {
    pub(super) fn reserve(&self, transaction: &Transaction) -> Result<Reserved<'_>, StoreError> {
        let mut keys = self.keys();
        let mut reserved = Reserved {
            leases: self,
            new: Vec::new(),
        };
        let mut full = None;
        for operation in transaction.operations() {
            let Operation::Put {
                key,
                lease: Some(lease),
                ..
            } = operation
            else {
                continue;
            };
            if keys.of.get(key) == Some(lease) {
                continue;
            }
            let count = keys.count.entry(*lease).or_default();
            *count += 1;
            if *count > MAX_LEASE_KEYS {
                full = Some(*lease);
            }
            reserved.new.push((key.clone(), *lease));
        }
        drop(keys);
        match full {
            Some(lease) => {
                reserved.undone();
                Err(StoreError::LeaseFull(lease))
            }
            None => Ok(reserved),
        }
    }

    /// The lease and all its keys are no more.
    pub(super) fn forget(&self, lease: LeaseId) {
        let mut keys = self.keys();
        keys.count.remove(&lease);
        keys.of.retain(|_, of| *of != lease);
    }

    fn gone(&self, links: &Links, lease: LeaseId) -> StoreError {
        links.tally.leases_gone.up();
        self.forget(lease);
        StoreError::LeaseGone(lease)
    }

    /// A panic cannot leave the maps half changed, so a poisoned lock is taken over.
    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reserved<'_> {
    /// It happened.
    pub(super) fn done(mut self, transaction: &Transaction) {
        let mut keys = self.leases.keys();
        for operation in transaction.operations() {
            let now = match operation {
                Operation::Put { lease, .. } => *lease,
                Operation::Delete(_) => None,
            };
            if keys.of.get(operation.key()).copied() != now {
                keys.detach(operation.key());
            }
        }
        for (key, lease) in self.new.drain(..) {
            keys.of.insert(key, lease);
        }
    }

    /// It did not happen.
    pub(super) fn undone(mut self) {
        let mut keys = self.leases.keys();
        for (_, lease) in self.new.drain(..) {
            keys.release(lease);
        }
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if !self.new.is_empty() {
            let mut keys = self.leases.keys();
            keys.of.extend(self.new.drain(..));
        }
    }
}

impl Keys {
    fn detach(&mut self, key: &Key) {
        if let Some(lease) = self.of.remove(key) {
            self.release(lease);
        }
    }

    fn release(&mut self, lease: LeaseId) {
        if let Some(count) = self.count.get_mut(&lease) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.count.remove(&lease);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(id: u64) -> LeaseId {
        LeaseId::new(id).unwrap()
    }

    fn key(at: usize) -> Key {
        format!("public/edge/{at}").parse().unwrap()
    }

    fn puts(keys: std::ops::Range<usize>, under: LeaseId) -> Transaction {
        keys.fold(Transaction::new(), |all, at| {
            all.put_leased(key(at), "x", under)
        })
    }

    fn fill(leases: &Leases, under: LeaseId) {
        for at in 0..MAX_LEASE_KEYS / 100 {
            let some = puts(at * 100..(at + 1) * 100, under);
            leases.reserve(&some).unwrap().done(&some);
        }
    }

    #[test]
    fn a_lease_takes_so_many_keys_and_no_more() {
        let leases = Leases::default();
        fill(&leases, lease(1));
        let more = puts(9_000..9_001, lease(1));
        assert_eq!(
            leases.reserve(&more).unwrap_err(),
            StoreError::LeaseFull(lease(1))
        );
        let again = puts(0..100, lease(1));
        leases.reserve(&again).unwrap().done(&again);
        let deleted = Transaction::new().delete(key(0));
        leases.reserve(&deleted).unwrap().done(&deleted);
        leases.reserve(&more).unwrap().undone();
        leases.reserve(&more).unwrap().done(&more);
        assert!(leases.reserve(&puts(0..1, lease(1))).is_err());
        let moved = puts(1..2, lease(2));
        leases.reserve(&moved).unwrap().done(&moved);
        leases.reserve(&puts(0..1, lease(1))).unwrap().undone();
        leases.forget(lease(1));
        let keys = leases.keys();
        assert_eq!((keys.count.len(), keys.of.len()), (1, 1));
    }

    #[test]
    fn what_may_have_happened_is_counted_once() {
        let leases = Leases::default();
        for _ in 0..3 {
            drop(leases.reserve(&puts(0..100, lease(1))).unwrap());
        }
        assert_eq!(leases.keys().count.get(&lease(1)), Some(&100));
    }
}
