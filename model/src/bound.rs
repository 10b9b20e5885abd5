//! Names of bounds, and how often each was hit: one way to write them down for every crate, so that none is left uncounted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Defines a closed set of bounds: an enum, the list `ALL` of its members, and the `label` under which each is counted.
#[macro_export]
macro_rules! named_bounds {
    ($(#[$about:meta])* $visible:vis enum $name:ident { $($(#[$why:meta])* $bound:ident = $label:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $visible enum $name {
            $($(#[$why])* $bound,)+
        }

        impl $name {
            $visible const ALL: [Self; [$($label),+].len()] = [$(Self::$bound),+];

            $visible const fn label(self) -> &'static str {
                match self {
                    $(Self::$bound => $label,)+
                }
            }
        }
    };
}

/// How often each of `N` bounds was hit, by its place in the list.
#[derive(Debug)]
pub struct Hits<const N: usize>([AtomicU64; N]);

impl<const N: usize> Hits<N> {
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; N])
    }

    /// A place that is not in the list is not counted.
    pub fn add(&self, place: usize) {
        if let Some(count) = self.0.get(place) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub fn get(&self, place: usize) -> u64 {
        self.0.get(place).map_or(0, |count| count.load(Relaxed))
    }
}

impl<const N: usize> Default for Hits<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::named_bounds! {
        /// Two of them.
        enum Two { Short = "short", Long = "long", }
    }

    #[test]
    fn each_is_counted_for_itself() {
        let hits = Hits::<{ Two::ALL.len() }>::new();
        hits.add(Two::Long as usize);
        hits.add(Two::Long as usize);
        hits.add(7);
        let seen = Two::ALL.map(|bound| (bound.label(), hits.get(bound as usize)));
        assert_eq!(seen, [("short", 0), ("long", 2)]);
    }
}
