//! Which keys a read covers: one key or a folder, from the start or after a key where the last page ended.

use crate::{Key, Prefix};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    scope: Scope,
    after: Option<Key>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    Key(Key),
    Prefix(Prefix),
}

impl Range {
    /// The same range without the keys up to and including `key`.
    #[must_use]
    pub fn after(self, key: Key) -> Self {
        Self {
            after: Some(key),
            ..self
        }
    }

    pub fn contains(&self, key: &Key) -> bool {
        let within = match &self.scope {
            Scope::Key(own) => own == key,
            Scope::Prefix(prefix) => prefix.contains(key),
        };
        within && self.after.as_ref().is_none_or(|after| key > after)
    }

    /// The first key and the end (not included), as backends compare them: byte by byte.
    pub fn bounds(&self) -> (String, String) {
        let (first, end) = match &self.scope {
            Scope::Key(key) => (key.to_string(), successor(key)),
            Scope::Prefix(prefix) => (prefix.to_string(), end_of(prefix)),
        };
        match &self.after {
            Some(after) => (successor(after).max(first), end),
            None => (first, end),
        }
    }
}

/// The least text above `key`.
fn successor(key: &Key) -> String {
    format!("{key}\0")
}

/// The least text above everything in the folder: the slash at its end raised by one.
fn end_of(prefix: &Prefix) -> String {
    format!("{}0", prefix.as_str().trim_end_matches('/'))
}

impl From<&Prefix> for Range {
    fn from(prefix: &Prefix) -> Self {
        Self {
            scope: Scope::Prefix(prefix.clone()),
            after: None,
        }
    }
}

impl From<&Key> for Range {
    fn from(key: &Key) -> Self {
        Self {
            scope: Scope::Key(key.clone()),
            after: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path() -> impl Strategy<Value = Key> {
        "public/[ab*.:-]{1,2}(/[ab.:-]{1,2}){0,2}".prop_map(|text| text.parse().unwrap())
    }

    proptest! {
        #[test]
        fn bounds_say_what_contains_says(key in path(), folder in path(), after in proptest::option::of(path())) {
            let prefix: Prefix = format!("{folder}/").parse().unwrap();
            for range in [Range::from(&prefix), Range::from(&folder)] {
                let range = match after.clone() {
                    Some(after) => range.after(after),
                    None => range,
                };
                let (first, end) = range.bounds();
                let inside = *key.as_str() >= *first && *key.as_str() < *end;
                prop_assert_eq!(inside, range.contains(&key));
            }
        }
    }
}
