//! What a session has asked its edge to bind, beside what its owner wants. Pure.

use std::collections::BTreeSet;

use tunnel::message::Bind;

/// None for a session that bound all that its token grants: such a one is left as it is.
#[derive(Debug)]
pub(super) struct Binds(Option<Known>);

/// Ids of binds. What was refused stays known, so that it is not asked for again and again.
#[derive(Debug, Default)]
struct Known {
    asked: BTreeSet<u32>,
    /// Those of `asked` that the edge has not answered. What a hello asks for, it answers in its welcome.
    unanswered: BTreeSet<u32>,
    /// Those of `asked` that the edge has refused or taken away.
    lost: BTreeSet<u32>,
    releasing: BTreeSet<u32>,
}

/// What is to be said to the edge.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) unbind: Vec<u32>,
    pub(super) bind: Vec<Bind>,
}

impl Binds {
    pub(super) fn new(asked: Option<Vec<u32>>) -> Self {
        Self(asked.map(|asked| Known {
            asked: asked.into_iter().collect(),
            ..Known::default()
        }))
    }

    /// Whether something is wanted that was never asked for.
    pub(super) fn lack(&self, wanted: &[Bind]) -> bool {
        self.0.as_ref().is_some_and(|known| {
            let is_new = |bind: &Bind| !known.asked.contains(&bind.id);
            wanted.iter().any(is_new)
        })
    }

    /// Whether a session that serves nothing may soon serve something.
    pub(super) fn expects_more(&self, wanted: &[Bind]) -> bool {
        let unanswered = |known: &Known| !known.unanswered.is_empty();
        self.lack(wanted) || self.0.as_ref().is_some_and(unanswered)
    }

    /// The steps from what was asked for to what is wanted; they count as taken.
    pub(super) fn settle(&mut self, wanted: &[Bind]) -> Due {
        let Some(known) = &mut self.0 else {
            return Due::default();
        };
        let ids: BTreeSet<u32> = wanted.iter().map(|bind| bind.id).collect();
        let gone: Vec<u32> = known.asked.difference(&ids).copied().collect();
        let mut unbind = Vec::new();
        for id in gone {
            known.asked.remove(&id);
            known.unanswered.remove(&id);
            if !known.lost.remove(&id) {
                known.releasing.insert(id);
                unbind.push(id);
            }
        }
        let is_new = |bind: &&Bind| !known.asked.contains(&bind.id);
        let bind: Vec<Bind> = wanted.iter().filter(is_new).cloned().collect();
        let new = bind.iter().map(|bind| bind.id);
        known.asked.extend(new.clone());
        known.unanswered.extend(new);
        Due { unbind, bind }
    }

    /// The edge serves the bind.
    pub(super) fn bound(&mut self, id: u32) {
        if let Some(known) = &mut self.0 {
            known.unanswered.remove(&id);
        }
    }

    /// The edge does not serve the bind (any more).
    pub(super) fn lost(&mut self, id: u32) {
        if let Some(known) = &mut self.0 {
            known.unanswered.remove(&id);
            if known.asked.contains(&id) {
                known.lost.insert(id);
            }
        }
    }

    /// Whether the bind was given back, and the edge has not confirmed that yet.
    pub(super) fn is_released(&self, id: u32) -> bool {
        let known = self.0.as_ref();
        known.is_some_and(|known| known.releasing.contains(&id))
    }

    pub(super) fn released(&mut self, id: u32) {
        if let Some(known) = &mut self.0 {
            known.releasing.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Kind;
    use proptest::prelude::*;

    use super::*;

    fn bind(id: u32) -> Bind {
        Bind {
            id,
            host: None,
            port: Some(44_000),
            kind: Kind::Tcp,
            proto: None,
            host_header: None,
        }
    }

    fn binds(ids: &[u32]) -> Vec<Bind> {
        ids.iter().copied().map(bind).collect()
    }

    #[test]
    fn only_what_differs_is_said_to_the_edge() {
        let mut known = Binds::new(Some(vec![1, 2, 3]));
        assert!(!known.lack(&binds(&[3, 1])));
        assert!(known.lack(&binds(&[1, 2, 3, 4])));
        let due = known.settle(&binds(&[1, 3, 4]));
        assert_eq!((due.unbind, due.bind), (vec![2], binds(&[4])));
        assert!(known.is_released(2) && known.expects_more(&binds(&[1, 3, 4])));
        known.bound(4);
        known.released(2);
        assert!(!known.expects_more(&binds(&[1, 3, 4])) && !known.is_released(2));
        assert_eq!(known.settle(&binds(&[1, 3, 4])), Due::default());
        // What the edge does not serve needs not be given back.
        known.lost(4);
        assert_eq!(known.settle(&binds(&[1, 3])), Due::default());
    }

    #[test]
    fn a_session_of_all_that_is_granted_is_left_alone() {
        let mut known = Binds::new(None);
        assert!(!known.lack(&binds(&[1])));
        assert_eq!(known.settle(&binds(&[1])), Due::default());
    }

    proptest! {
        #[test]
        fn a_bind_that_stays_wanted_is_never_touched(steps in prop::collection::vec(prop::collection::btree_set(0u32..8, 0..6), 1..12)) {
            let first: Vec<u32> = steps[0].iter().copied().collect();
            let mut known = Binds::new(Some(first.clone()));
            let mut serves: BTreeSet<u32> = first.into_iter().collect();
            for step in steps {
                let ids: Vec<u32> = step.iter().copied().collect();
                let due = known.settle(&binds(&ids));
                for id in &due.unbind {
                    prop_assert!(serves.remove(id) && !step.contains(id));
                }
                for bind in &due.bind {
                    prop_assert!(serves.insert(bind.id));
                }
                prop_assert_eq!(&serves, &step);
                prop_assert!(!known.lack(&binds(&ids)));
            }
        }
    }
}
