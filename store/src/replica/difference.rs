//! What must have happened between what a replica knows and what a new list says.

use std::collections::BTreeMap;

use model::Revision;

use crate::{Change, Entry, Event, Key};

/// Each known key and the revision of its last put.
pub(super) type Known = BTreeMap<Key, Revision>;

/// In the order of revisions. When a key was deleted is not known, so deletions stand last, at the revision of the list.
pub(super) fn between(known: &Known, listed: Vec<Entry>, at: Revision) -> Vec<Event> {
    let mut gone = known.clone();
    let mut events = Vec::new();
    for entry in listed {
        if gone.remove(&entry.key) != Some(entry.modified) {
            events.push(Event {
                revision: entry.modified,
                change: Change::Put(entry),
            });
        }
    }
    events.sort_by_key(|event| event.revision);
    events.extend(gone.into_keys().map(|key| Event {
        revision: at,
        change: Change::Delete(key),
    }));
    events
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::{collection::btree_map, prelude::*};

    use super::*;

    fn state() -> impl Strategy<Value = Known> {
        btree_map(
            "public/x/[a-f]".prop_map(|key| key.parse().unwrap()),
            (1..5u64).prop_map(Revision),
            0..6,
        )
    }

    fn entry(key: &Key, modified: Revision) -> Entry {
        Entry {
            key: key.clone(),
            value: Bytes::new(),
            created: modified,
            modified,
            lease: None,
        }
    }

    proptest! {
        #[test]
        fn applied_to_what_was_known_it_gives_the_list(before in state(), after in state()) {
            let listed = after.iter().map(|(key, modified)| entry(key, *modified)).collect();
            let mut now = before.clone();
            let mut last = Revision::ZERO;
            for event in between(&before, listed, Revision(9)) {
                prop_assert!(event.revision >= last);
                last = event.revision;
                match event.change {
                    Change::Put(entry) => {
                        prop_assert_ne!(now.insert(entry.key, entry.modified), Some(entry.modified));
                    }
                    Change::Delete(key) => prop_assert!(now.remove(&key).is_some()),
                }
            }
            prop_assert_eq!(now, after);
        }
    }
}
