//! What has changed between two files, by name and content. Pure.

use std::collections::BTreeMap;

/// Names; what is in none of the lists has not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference<K> {
    pub(super) added: Vec<K>,
    pub(super) changed: Vec<K>,
    pub(super) removed: Vec<K>,
}

impl<K: Ord + Clone> Difference<K> {
    pub(super) fn between<V: PartialEq>(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>) -> Self {
        let missing_in = |other: &BTreeMap<K, V>, from: &BTreeMap<K, V>| -> Vec<K> {
            let names = from.keys().filter(|name| !other.contains_key(name));
            names.cloned().collect()
        };
        let differs = |(name, value): &(&K, &V)| old.get(name).is_some_and(|was| was != *value);
        Self {
            added: missing_in(old, new),
            changed: new
                .iter()
                .filter(differs)
                .map(|(name, _)| name.clone())
                .collect(),
            removed: missing_in(new, old),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn files() -> impl Strategy<Value = BTreeMap<u8, u8>> {
        prop::collection::btree_map(0u8..12, 0u8..3, 0..12)
    }

    proptest! {
        #[test]
        fn what_did_not_change_is_never_touched(old in files(), new in files()) {
            let difference = Difference::between(&old, &new);
            let lists = [&difference.added, &difference.changed, &difference.removed];
            let touched: BTreeSet<u8> = lists.into_iter().flatten().copied().collect();
            prop_assert_eq!(touched.len(), lists.iter().map(|list| list.len()).sum::<usize>(), "each in one list");
            for name in 0..12 {
                prop_assert_eq!(touched.contains(&name), old.get(&name) != new.get(&name));
            }
        }

        #[test]
        fn the_steps_lead_from_the_old_to_the_new(old in files(), new in files()) {
            let difference = Difference::between(&old, &new);
            let mut now = old;
            for name in &difference.removed {
                prop_assert!(now.remove(name).is_some());
            }
            for name in &difference.added {
                prop_assert!(now.insert(*name, new[name]).is_none());
            }
            for name in &difference.changed {
                prop_assert!(now.insert(*name, new[name]).is_some());
            }
            prop_assert_eq!(now, new);
        }
    }
}
