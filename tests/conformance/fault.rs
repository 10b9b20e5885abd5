//! One thing that a broken edge does wrong.

use conformance::frame::Frame;
use serde_json::Value;

use crate::seen::{Seen, Way};

/// What becomes of a frame, a line or a request.
pub(crate) enum Does {
    Pass,
    Drop,
    /// These in its place.
    Instead(Vec<(Way, Frame)>),
}

/// What becomes of a line.
pub(crate) enum Line {
    Pass,
    Drop,
    Instead(String),
}

/// What becomes of a request for a tunnel.
pub(crate) enum Ask {
    Pass,
    /// It is answered with this status, and the edge hears nothing of it.
    Answer(u16),
    /// The answer that the edge gives is changed.
    Change(fn(String) -> String),
    /// The edge is asked this.
    Instead(String),
}

/// A request, and how its connection was made.
pub(crate) struct Request<'a> {
    pub(crate) seen: &'a Seen,
    pub(crate) head: &'a str,
    pub(crate) alpn: bool,
    /// The name in the ClientHello is the edge's.
    pub(crate) own_name: bool,
}

/// How the two directions of a connection without a mux end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ends {
    #[default]
    AsTheyCome,
    /// The visitor's is kept back.
    NotDown,
    /// The edge hears a second later that the agent is gone.
    Late,
    /// What breaks off upwards is shown as an end.
    CleanUp,
}

#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) case: &'static str,
    pub(crate) line: fn(&Seen, Way, &str, &Value) -> Line,
    pub(crate) frame: fn(&Seen, Way, &mut Frame) -> Does,
    pub(crate) ask: fn(&Request<'_>) -> Ask,
    pub(crate) ends: Ends,
}

impl Fault {
    /// Nothing is wrong.
    pub(crate) const fn none(case: &'static str) -> Self {
        Self {
            case,
            line: |_, _, _, _| Line::Pass,
            frame: |_, _, _| Does::Pass,
            ask: |_| Ask::Pass,
            ends: Ends::AsTheyCome,
        }
    }

    pub(crate) const fn line(
        case: &'static str,
        line: fn(&Seen, Way, &str, &Value) -> Line,
    ) -> Self {
        Self {
            line,
            ..Self::none(case)
        }
    }

    pub(crate) const fn frame(
        case: &'static str,
        frame: fn(&Seen, Way, &mut Frame) -> Does,
    ) -> Self {
        Self {
            frame,
            ..Self::none(case)
        }
    }

    pub(crate) const fn ask(case: &'static str, ask: fn(&Request<'_>) -> Ask) -> Self {
        Self {
            ask,
            ..Self::none(case)
        }
    }

    pub(crate) const fn ends(case: &'static str, ends: Ends) -> Self {
        Self {
            ends,
            ..Self::none(case)
        }
    }
}

pub(crate) fn drop_if(condition: bool) -> Line {
    if condition { Line::Drop } else { Line::Pass }
}

/// A line that nobody can read.
pub(crate) fn break_if(condition: bool) -> Line {
    if condition {
        Line::Instead("x\n".into())
    } else {
        Line::Pass
    }
}

pub(crate) fn set_if(condition: bool, line: &Value, member: &str, value: Value) -> Line {
    if !condition {
        return Line::Pass;
    }
    let mut line = line.clone();
    line[member] = value;
    Line::Instead(format!("{line}\n"))
}
