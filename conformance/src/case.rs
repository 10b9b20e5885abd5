//! One question, its place in the specification, and how it is asked.

use std::{fmt, future::Future, io, pin::Pin, str::FromStr, time::Duration};

use serde::Serialize;
use tokio::time::timeout;
use tunnel::{TransportError, control::ControlError};

/// How long the kit waits for what should come at once, unless it is told otherwise: longer than a slow path and a busy peer
/// take together.
pub const PATIENCE: Duration = Duration::from_secs(8);

tokio::task_local! {
    /// What every case of a run waits.
    pub(crate) static PATIENT: Duration;
}

/// What carries the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Binding {
    Quic,
    Mux,
    Single,
}

/// Nothing to say is good news.
pub type Outcome<T = ()> = Result<T, Finding>;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The peer did something else.
    #[error("{0}")]
    Failed(String),
    /// The kit lacks what it would need to ask.
    #[error("{0}")]
    NotTested(String),
}

type Asking = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One question about a `P`.
pub struct Case<P> {
    pub name: &'static str,
    pub section: &'static str,
    /// What a good peer does, as a sentence.
    pub says: &'static str,
    pub bindings: &'static [Binding],
    pub(crate) ask: fn(P) -> Asking,
}

/// A row of a table of cases.
macro_rules! case {
    ($name:literal, $section:literal, $bindings:expr, $ask:path, $says:literal) => {
        $crate::case::Case {
            name: $name,
            section: $section,
            says: $says,
            bindings: $bindings,
            ask: |peer| Box::pin($ask(peer)),
        }
    };
}
pub(crate) use case;

/// Fails unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err($crate::case::Finding::Failed(format!($($why)+)));
        }
    };
}
pub(crate) use ensure;

pub(crate) fn failed<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Finding::Failed(why.into()))
}

pub(crate) fn not_tested<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Finding::NotTested(why.into()))
}

/// What should come at once.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> Outcome<F::Output> {
    let patience = PATIENT.try_with(|told| *told).unwrap_or(PATIENCE);
    let waited = timeout(patience, future).await;
    waited.map_err(|_| Finding::Failed(format!("no {what} within {patience:.1?}")))
}

impl Binding {
    pub const ALL: [Self; 3] = [Self::Quic, Self::Mux, Self::Single];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::Mux => "mux",
            Self::Single => "single",
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Binding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|known| known.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is not a binding: quic, mux or single"))
    }
}

impl<P> fmt::Debug for Case<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.section)
    }
}

impl From<io::Error> for Finding {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<TransportError> for Finding {
    fn from(error: TransportError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ControlError> for Finding {
    fn from(error: ControlError) -> Self {
        Self::Failed(error.to_string())
    }
}
