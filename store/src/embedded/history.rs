//! The last changes, in memory and bounded: what watches are fed from, and how reads go back in time.

use std::collections::{BTreeMap, VecDeque};

use model::Revision;

use super::Options;
use crate::{Batch, Change, Entry, Event, Key, Prefix, Range};

/// Records in the order of their revisions. A record is never split, so the newest is kept even when it alone is too heavy.
#[derive(Debug)]
pub(super) struct History {
    records: VecDeque<Record>,
    /// The revision before the first record: the oldest that can be read and watched from.
    oldest: Revision,
    weight: usize,
    max_records: usize,
    max_weight: usize,
}

/// One commit: each change, and what was there before.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) revision: Revision,
    pub(super) changes: Vec<Changed>,
}

#[derive(Debug)]
pub(super) struct Changed {
    pub(super) change: Change,
    pub(super) before: Option<Entry>,
}

/// What a watcher gets for its place in the history.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// The next commit that touches the prefix, or an empty batch when none up to the newest does.
    Batch(Batch),
    /// The watcher has seen everything.
    Nothing,
    Forgotten {
        oldest: Revision,
    },
}

impl History {
    pub(super) fn new(begin: Revision, options: Options) -> Self {
        Self {
            records: VecDeque::new(),
            oldest: begin,
            weight: 0,
            max_records: options.history_revisions,
            max_weight: options.history_bytes,
        }
    }

    pub(super) fn oldest(&self) -> Revision {
        self.oldest
    }

    pub(super) fn newest(&self) -> Revision {
        self.records
            .back()
            .map_or(self.oldest, |last| last.revision)
    }

    pub(super) fn push(&mut self, record: Record) {
        self.weight += record.weight();
        self.records.push_back(record);
        while self.records.len() > 1 && self.is_too_much() {
            if let Some(forgotten) = self.records.pop_front() {
                self.weight -= forgotten.weight();
                self.oldest = forgotten.revision;
            }
        }
    }

    pub(super) fn since(&self, prefix: &Prefix, after: Revision) -> Since {
        if after < self.oldest {
            return Since::Forgotten {
                oldest: self.oldest,
            };
        }
        let mut unseen = self.after(after).peekable();
        if unseen.peek().is_none() {
            return Since::Nothing;
        }
        let touching = unseen
            .map(|record| record.under(prefix))
            .find(|batch| !batch.events.is_empty());
        Since::Batch(touching.unwrap_or_else(|| Batch {
            revision: self.newest(),
            events: Vec::new(),
        }))
    }

    /// How the keys of `range` that changed after `at` were at that revision.
    pub(super) fn undo(&self, range: &Range, at: Revision) -> BTreeMap<Key, Option<Entry>> {
        let mut then = BTreeMap::new();
        for changed in self.after(at).flat_map(|record| &record.changes) {
            if range.contains(changed.key()) {
                // The first change after `at` is the one that knows what was there.
                then.entry(changed.key().clone())
                    .or_insert_with(|| changed.before.clone());
            }
        }
        then
    }

    fn after(&self, revision: Revision) -> impl Iterator<Item = &Record> {
        let seen = self
            .records
            .partition_point(|record| record.revision <= revision);
        self.records.range(seen..)
    }

    fn is_too_much(&self) -> bool {
        self.records.len() > self.max_records || self.weight > self.max_weight
    }
}

impl Record {
    fn under(&self, prefix: &Prefix) -> Batch {
        let touching = self
            .changes
            .iter()
            .filter(|changed| prefix.contains(changed.key()));
        Batch {
            revision: self.revision,
            events: touching
                .map(|changed| Event {
                    revision: self.revision,
                    change: changed.change.clone(),
                })
                .collect(),
        }
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.changes.iter().map(Changed::weight).sum::<usize>()
    }
}

impl Changed {
    fn key(&self) -> &Key {
        match &self.change {
            Change::Put(entry) => &entry.key,
            Change::Delete(key) => key,
        }
    }

    fn weight(&self) -> usize {
        let after = match &self.change {
            Change::Put(entry) => entry.weight(),
            Change::Delete(key) => key.as_str().len(),
        };
        size_of::<Self>() + after + self.before.as_ref().map_or(0, Entry::weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(revision: u64, key: &str) -> Record {
        Record {
            revision: Revision(revision),
            changes: vec![Changed {
                change: Change::Delete(key.parse().unwrap()),
                before: None,
            }],
        }
    }

    #[test]
    fn both_bounds_hold_and_the_newest_record_stays() {
        let options = |history_revisions, history_bytes| Options {
            history_revisions,
            history_bytes,
            ..Options::default()
        };
        let mut few = History::new(Revision(5), options(3, usize::MAX));
        let mut light = History::new(Revision(5), options(usize::MAX, 1));
        for revision in 6..20 {
            few.push(record(revision, "public/x/y"));
            light.push(record(revision, "public/x/y"));
            assert!(few.records.len() <= 3);
            assert_eq!(
                (light.records.len(), light.newest()),
                (1, Revision(revision))
            );
        }
        assert_eq!((few.oldest(), few.newest()), (Revision(16), Revision(19)));
        let prefix = "public/x/".parse().unwrap();
        let gone = few.since(&prefix, Revision(15));
        assert_eq!(
            gone,
            Since::Forgotten {
                oldest: Revision(16)
            }
        );
        assert!(
            matches!(few.since(&prefix, Revision(16)), Since::Batch(batch) if batch.revision == Revision(17))
        );
    }

    #[test]
    fn other_prefixes_are_told_as_progress() {
        let mut history = History::new(Revision(0), Options::default());
        history.push(record(1, "public/x/y"));
        history.push(record(3, "public/x/y"));
        let progress = Batch {
            revision: Revision(3),
            events: Vec::new(),
        };
        let other = "account/".parse().unwrap();
        assert_eq!(history.since(&other, Revision(0)), Since::Batch(progress));
        assert_eq!(history.since(&other, Revision(3)), Since::Nothing);
    }
}
