//! Where each key of a file stands, for problems that are found after it was read.

use std::collections::BTreeMap;

use crate::{Position, Problem};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<String, Position>);

impl Places {
    pub(crate) fn note(&mut self, key: String, at: Position) {
        self.0.insert(key, at);
    }

    pub fn of(&self, key: &str) -> Option<Position> {
        self.0.get(key).copied()
    }

    /// Keys that the file has.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A problem with the value of `key`.
    pub fn problem(&self, key: &str, message: impl std::fmt::Display) -> Problem {
        Problem::new(key, message).at(self.of(key))
    }
}
