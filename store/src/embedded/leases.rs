//! Which leases live and until when. Their keys are in the tables, so that they go with the same commit.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::Rng;
use tokio::{sync::Notify, time::Instant};

use crate::{LeaseId, StoreError};

/// Leases at a time: some for each edge and control plane of a machine, with much room; each costs some dozen bytes.
const MAX_LEASES: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Leases {
    living: Mutex<HashMap<LeaseId, Lease>>,
    /// Wakes the writer, whose next deadline may now be an earlier one.
    pub(super) granted: Notify,
}

#[derive(Debug)]
struct Lease {
    ttl: Duration,
    deadline: Instant,
}

impl Leases {
    pub(super) fn grant(&self, ttl: Duration, now: Instant) -> Result<LeaseId, StoreError> {
        let mut living = self.living();
        if living.len() >= MAX_LEASES {
            return Err(StoreError::TooManyLeases);
        }
        let id = new_id(&living);
        let deadline = now + ttl;
        living.insert(id, Lease { ttl, deadline });
        drop(living);
        self.granted.notify_one();
        Ok(id)
    }

    pub(super) fn keep_alive(&self, id: LeaseId, now: Instant) -> Result<(), StoreError> {
        let mut living = self.living();
        let lease = living.get_mut(&id).ok_or(StoreError::LeaseGone(id))?;
        lease.deadline = now + lease.ttl;
        Ok(())
    }

    pub(super) fn is_living(&self, id: LeaseId) -> bool {
        self.living().contains_key(&id)
    }

    /// Ends the lease; true when it lived.
    pub(super) fn end(&self, id: LeaseId) -> bool {
        self.living().remove(&id).is_some()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.living().values().map(|lease| lease.deadline).min()
    }

    /// Ends every lease whose time is over.
    pub(super) fn end_overdue(&self, now: Instant) -> Vec<LeaseId> {
        let mut overdue = Vec::new();
        self.living().retain(|id, lease| {
            let lives = lease.deadline > now;
            if !lives {
                overdue.push(*id);
            }
            lives
        });
        overdue
    }

    /// A panic cannot leave the map half changed, so a poisoned lock is taken over.
    fn living(&self) -> MutexGuard<'_, HashMap<LeaseId, Lease>> {
        self.living.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Random, so that an id from before a restart never names a newer lease.
fn new_id(living: &HashMap<LeaseId, Lease>) -> LeaseId {
    loop {
        let candidate = LeaseId::new(rand::rng().random::<u64>() >> 1);
        match candidate {
            Some(id) if !living.contains_key(&id) => return id,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(5);

    #[test]
    fn a_lease_lives_as_long_as_it_is_kept_alive() {
        let (leases, start) = (Leases::default(), Instant::now());
        let (kept, silent) = (
            leases.grant(TTL, start).unwrap(),
            leases.grant(TTL, start).unwrap(),
        );
        assert_eq!(leases.next_deadline(), Some(start + TTL));
        leases.keep_alive(kept, start + TTL / 2).unwrap();
        assert!(
            leases
                .end_overdue(start + TTL - Duration::from_millis(1))
                .is_empty()
        );
        assert_eq!(leases.end_overdue(start + TTL), [silent]);
        assert!(leases.keep_alive(silent, start + TTL).is_err());
        assert!(leases.is_living(kept) && leases.end(kept) && !leases.end(kept));
        assert_eq!(leases.next_deadline(), None);
    }

    #[test]
    fn there_are_not_more_than_so_many() {
        let (leases, now) = (Leases::default(), Instant::now());
        for _ in 0..MAX_LEASES {
            leases.grant(TTL, now).unwrap();
        }
        assert_eq!(leases.grant(TTL, now), Err(StoreError::TooManyLeases));
    }
}
