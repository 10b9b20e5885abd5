//! From etcd's messages to whole commits: a message may hold many revisions, and a large revision comes in many messages. Pure.

use model::Revision;

use crate::{Batch, Event};

#[derive(Debug)]
pub(super) struct Gather {
    seen: Revision,
    /// Events of the one revision that is not yet known to be whole.
    open: Vec<Event>,
}

impl Gather {
    /// What is up to `seen` was handed out before.
    pub(super) fn new(seen: Revision) -> Self {
        Self {
            seen,
            open: Vec::new(),
        }
    }

    /// Up to where everything was handed out.
    pub(super) fn seen(&self) -> Revision {
        self.seen
    }

    /// The commits that are whole after a message; `more` says that the next message goes on where this one ends.
    pub(super) fn take(
        &mut self,
        events: impl IntoIterator<Item = Event>,
        more: bool,
    ) -> Vec<Batch> {
        let mut whole = Vec::new();
        for event in events {
            if event.revision <= self.seen {
                continue;
            }
            if self
                .open
                .first()
                .is_some_and(|first| first.revision != event.revision)
            {
                whole.extend(self.close());
            }
            self.open.push(event);
        }
        if !more {
            whole.extend(self.close());
        }
        whole
    }

    /// Nothing else happened up to `revision`.
    pub(super) fn progress(&mut self, revision: Revision) -> Option<Batch> {
        if revision <= self.seen || !self.open.is_empty() {
            return None;
        }
        self.seen = revision;
        Some(Batch {
            revision,
            events: Vec::new(),
        })
    }

    fn close(&mut self) -> Option<Batch> {
        let revision = self.open.first()?.revision;
        self.seen = revision;
        Some(Batch {
            revision,
            events: std::mem::take(&mut self.open),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::Change;

    fn event(revision: u64, key: usize) -> Event {
        Event {
            revision: Revision(revision),
            change: Change::Delete(format!("public/x/{key}").parse().unwrap()),
        }
    }

    proptest! {
        /// However the events are cut into messages, the same commits come out.
        #[test]
        fn cuts_do_not_show(sizes in vec(1..5usize, 1..8), cuts in vec(any::<bool>(), 40), after in 0..4u64) {
            let commits: Vec<Batch> = sizes.iter().zip(1..).map(|(size, revision)| Batch {
                revision: Revision(revision),
                events: (0..*size).map(|key| event(revision, key)).collect(),
            }).collect();
            let all: Vec<Event> = commits.iter().flat_map(|commit| commit.events.clone()).collect();
            let (mut gather, mut found, mut message) = (Gather::new(Revision(after)), Vec::new(), Vec::new());
            for (at, event) in all.iter().enumerate() {
                message.push(event.clone());
                let last = at + 1 == all.len();
                let within = all.get(at + 1).is_some_and(|next| next.revision == event.revision);
                if last || cuts[at] {
                    found.extend(gather.take(message.drain(..), within));
                }
            }
            let expected: Vec<Batch> = commits.into_iter().filter(|commit| commit.revision.0 > after).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn progress_never_goes_back_or_into_a_commit() {
        let mut gather = Gather::new(Revision(5));
        assert_eq!(gather.progress(Revision(5)), None);
        assert!(gather.progress(Revision(7)).is_some());
        assert_eq!(gather.take([event(8, 1)], true), []);
        assert_eq!(gather.progress(Revision(9)), None);
        let whole = gather.take([event(8, 2)], false);
        assert_eq!((whole.len(), whole[0].events.len()), (1, 2));
        assert!(gather.progress(Revision(9)).is_some());
    }
}
