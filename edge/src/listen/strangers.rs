//! Connections that may become sessions and have not said who they are: bounded for each address and in all.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::metrics::{Hit, Metrics};

#[derive(Debug)]
pub(crate) struct Strangers {
    total: usize,
    per_address: usize,
    here: Mutex<Here>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Here {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One of them; its place is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Stranger {
    from: IpAddr,
    strangers: Arc<Strangers>,
}

impl Strangers {
    pub(crate) fn new(total: usize, per_address: usize, metrics: Metrics) -> Self {
        Self {
            total,
            per_address,
            here: Mutex::default(),
            metrics,
        }
    }

    pub(crate) fn take(self: &Arc<Self>, ip: IpAddr) -> Option<Stranger> {
        let from = network(ip);
        let mut here = self.here();
        if here.all >= self.total {
            self.metrics.hit(Hit::Strangers);
            return None;
        }
        let of_address = here.by_address.entry(from).or_default();
        if *of_address >= self.per_address {
            self.metrics.hit(Hit::StrangersOfAddress);
            return None;
        }
        *of_address += 1;
        here.all += 1;
        drop(here);
        Some(Stranger {
            from,
            strangers: self.clone(),
        })
    }

    /// Half of the places are taken: whoever comes now should prove that the address is his, before he takes another's.
    pub(crate) fn is_crowded(&self, ip: IpAddr) -> bool {
        let here = self.here();
        let of_address = here
            .by_address
            .get(&network(ip))
            .copied()
            .unwrap_or_default();
        here.all * 2 >= self.total || of_address * 2 >= self.per_address
    }

    fn here(&self) -> MutexGuard<'_, Here> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut here = self.strangers.here();
        here.all = here.all.saturating_sub(1);
        if let Some(left) = here.by_address.get_mut(&self.from) {
            *left = left.saturating_sub(1);
            if *left == 0 {
                here.by_address.remove(&self.from);
            }
        }
    }
}

/// What one party can be expected to have: an IPv4 address, or an IPv6 network of 64 bits.
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strangers(total: usize, per_address: usize) -> Arc<Strangers> {
        Arc::new(Strangers::new(total, per_address, Metrics::default()))
    }

    #[test]
    fn one_address_cannot_take_the_places_of_others() {
        let strangers = strangers(4, 2);
        let a = "192.0.2.1".parse().unwrap();
        let held = [strangers.take(a), strangers.take(a)];
        assert!(held.iter().all(Option::is_some) && strangers.take(a).is_none());
        assert!(
            strangers
                .take("::ffff:192.0.2.1".parse().unwrap())
                .is_none(),
            "the same in other words"
        );
        assert!(strangers.take("192.0.2.2".parse().unwrap()).is_some());
        assert_eq!(strangers.metrics.hits(Hit::StrangersOfAddress), 2);
        drop(held);
        assert!(strangers.take(a).is_some());
    }

    #[test]
    fn all_together_are_bounded_and_forgotten() {
        let strangers = strangers(2, 2);
        let held = ["2001:db8::1", "2001:db8:1::1"].map(|ip| strangers.take(ip.parse().unwrap()));
        assert!(held.iter().all(Option::is_some));
        assert!(strangers.take("192.0.2.1".parse().unwrap()).is_none());
        drop(held);
        assert!(strangers.here().by_address.is_empty() && strangers.here().all == 0);
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let strangers = strangers(9, 1);
        let _held = strangers.take("2001:db8::1".parse().unwrap());
        assert!(
            strangers
                .take("2001:db8::2:0:0:1".parse().unwrap())
                .is_none()
        );
        assert!(strangers.take("2001:db8:0:1::1".parse().unwrap()).is_some());
    }
}
