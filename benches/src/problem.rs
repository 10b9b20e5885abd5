//! What can go wrong in a benchmark: always with what was being done.

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Problem(String);

pub(crate) type Outcome<T> = Result<T, Problem>;

impl Problem {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// Says what was being done when it failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: &str) -> Outcome<T>;
}

impl<T, E: std::fmt::Display> Doing<T> for Result<T, E> {
    fn doing(self, what: &str) -> Outcome<T> {
        self.map_err(|error| Problem(format!("{what}: {error}")))
    }
}
