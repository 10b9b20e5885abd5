//! How often somebody may do what costs us: counted in memory, in each control plane for itself.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use model::{ApiKeyId, UnixTime};

use super::device::{DEVICE_LIVES, INTERVAL};

/// Device codes from one address while one of them lives: a family's devices, set up at once.
const DEVICE_CODES: u32 = 20;
/// The same from everywhere: what the store holds of them stays below some MB.
const ALL_DEVICE_CODES: u32 = 5000;
/// User codes that one may mistype in as much time (RFC 8628, section 5.1).
const USER_CODES: u32 = 10;
/// Addresses, callers and devices that are remembered; when there are more, the oldest are forgotten.
const REMEMBERED: usize = 10_000;

/// All of them.
#[derive(Debug)]
pub(crate) struct Allowances {
    device_codes: Mutex<Allowance<IpAddr>>,
    all_device_codes: Mutex<Allowance<()>>,
    user_codes: Mutex<Allowance<ApiKeyId>>,
    polls: Mutex<Allowance<[u8; 32]>>,
}

/// So many times in a window, for each of many.
#[derive(Debug)]
struct Allowance<K> {
    times: u32,
    window: Duration,
    counts: HashMap<K, Count>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    since: UnixTime,
    times: u32,
}

impl Default for Allowances {
    fn default() -> Self {
        Self {
            device_codes: Mutex::new(Allowance::new(DEVICE_CODES, DEVICE_LIVES)),
            all_device_codes: Mutex::new(Allowance::new(ALL_DEVICE_CODES, DEVICE_LIVES)),
            user_codes: Mutex::new(Allowance::new(USER_CODES, DEVICE_LIVES)),
            // A second of patience: clocks here have no fractions.
            polls: Mutex::new(Allowance::new(1, INTERVAL - Duration::from_secs(1))),
        }
    }
}

impl Allowances {
    /// Whether a device code may be given to an address.
    pub(super) fn may_have_device_code(&self, from: IpAddr, now: UnixTime) -> bool {
        locked(&self.device_codes).take(network(from), now)
            && locked(&self.all_device_codes).take((), now)
    }

    /// Whether a caller may try one more user code.
    pub(crate) fn may_try_code(&self, by: &ApiKeyId, now: UnixTime) -> bool {
        locked(&self.user_codes).take(by.clone(), now)
    }

    /// Whoever types codes that are right may type any number of them.
    pub(crate) fn code_was_right(&self, by: &ApiKeyId) {
        locked(&self.user_codes).forget(by);
    }

    /// Whether a device has waited before it asks again.
    pub(super) fn may_poll(&self, device: [u8; 32], now: UnixTime) -> bool {
        locked(&self.polls).take(device, now)
    }
}

impl<K: Clone + Eq + Hash> Allowance<K> {
    fn new(times: u32, window: Duration) -> Self {
        Self {
            times,
            window,
            counts: HashMap::new(),
        }
    }

    fn take(&mut self, who: K, now: UnixTime) -> bool {
        if !self.counts.contains_key(&who) {
            self.make_room(now);
        }
        let count = self.counts.entry(who).or_insert(Count {
            since: now,
            times: 0,
        });
        if now.since(count.since) >= self.window {
            *count = Count {
                since: now,
                times: 0,
            };
        }
        if count.times == self.times {
            return false;
        }
        count.times += 1;
        true
    }

    fn forget(&mut self, who: &K) {
        self.counts.remove(who);
    }

    fn make_room(&mut self, now: UnixTime) {
        if self.counts.len() < REMEMBERED {
            return;
        }
        let window = self.window;
        self.counts
            .retain(|_, count| now.since(count.since) < window);
        // A crowd within one window: half of it, the oldest, begins anew.
        if self.counts.len() >= REMEMBERED {
            let mut times: Vec<_> = self.counts.values().map(|count| count.since).collect();
            times.sort_unstable();
            let middle = times[times.len() / 2];
            self.counts.retain(|_, count| count.since > middle);
        }
    }
}

/// Whoever has one address of IPv6 has a network of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

// Counts are whole whenever something panics.
fn locked<K>(counts: &Mutex<Allowance<K>>) -> MutexGuard<'_, Allowance<K>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(1000 + secs)
    }

    #[test]
    fn what_is_used_up_comes_back_with_the_next_window() {
        let mut allowance = Allowance::new(2, Duration::from_secs(10));
        let took: Vec<_> = [0, 1, 2, 9, 10, 11, 12]
            .map(|secs| allowance.take("a", at(secs)))
            .into();
        assert_eq!(took, [true, true, false, false, true, true, false]);
        assert!(allowance.take("b", at(2)));
    }

    #[test]
    fn memory_is_bounded_within_a_window_and_after_it() {
        let mut allowance = Allowance::new(1, Duration::from_secs(10));
        for who in 0..3 * REMEMBERED {
            allowance.take(who, at(who as u64 / REMEMBERED as u64));
            assert!(allowance.counts.len() <= REMEMBERED);
        }
    }

    #[test]
    fn a_network_of_addresses_counts_as_one() {
        let allowances = Allowances::default();
        for host in 0..DEVICE_CODES {
            let ip = format!("2001:db8::{host:x}").parse().unwrap();
            assert!(allowances.may_have_device_code(ip, at(0)));
        }
        assert!(!allowances.may_have_device_code("2001:db8::ffff".parse().unwrap(), at(0)));
        assert!(allowances.may_have_device_code("2001:db8:0:1::1".parse().unwrap(), at(0)));
    }
}
