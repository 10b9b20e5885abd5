//! What a look found: a line for people as soon as it is known, or one JSON value at the end.

use std::{
    fmt::Display,
    io::{IsTerminal, Write},
};

use serde::Serialize;

use crate::failure::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    /// It works, but something is worse than it could be.
    Warn,
    Fail,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Check {
    /// What was looked at.
    name: String,
    verdict: Verdict,
    /// What was seen.
    seen: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    advice: Vec<String>,
    /// Milliseconds there and back.
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trip_ms: Option<f64>,
}

#[derive(Serialize)]
struct Whole<'a> {
    verdict: Verdict,
    checks: &'a [Check],
}

pub(super) struct Report {
    checks: Vec<Check>,
    json: bool,
}

impl Check {
    fn new(verdict: Verdict, name: impl Display, seen: impl Display) -> Self {
        Self {
            name: name.to_string(),
            verdict,
            seen: seen.to_string(),
            advice: Vec::new(),
            round_trip_ms: None,
        }
    }

    pub(super) fn ok(name: impl Display, seen: impl Display) -> Self {
        Self::new(Verdict::Ok, name, seen)
    }

    pub(super) fn warn(name: impl Display, seen: impl Display) -> Self {
        Self::new(Verdict::Warn, name, seen)
    }

    pub(super) fn fail(name: impl Display, seen: impl Display) -> Self {
        Self::new(Verdict::Fail, name, seen)
    }

    pub(super) fn failed(name: impl Display, failure: &Failure) -> Self {
        Self {
            advice: failure.advice().to_vec(),
            ..Self::fail(name, failure)
        }
    }

    #[must_use]
    pub(super) fn advise(mut self, line: impl Display) -> Self {
        self.advice.push(line.to_string());
        self
    }

    #[must_use]
    pub(super) fn took(mut self, round_trip: std::time::Duration) -> Self {
        // Microseconds are all that can be told.
        self.round_trip_ms = Some((round_trip.as_secs_f64() * 1e6).round() / 1e3);
        self
    }

    pub(super) fn is_fail(&self) -> bool {
        self.verdict == Verdict::Fail
    }

    #[cfg(test)]
    pub(super) const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// One line, and one for each advice below it.
    fn lines(&self, on_terminal: bool) -> String {
        let (colour, word) = match self.verdict {
            Verdict::Ok => ("\x1b[32m", "ok  "),
            Verdict::Warn => ("\x1b[33m", "warn"),
            Verdict::Fail => ("\x1b[31m", "fail"),
        };
        let word = if on_terminal {
            format!("{colour}{word}\x1b[0m")
        } else {
            word.to_owned()
        };
        let mut text = format!("{word}  {}: {}\n", self.name, self.seen);
        for line in &self.advice {
            text.push_str(&format!("      {line}\n"));
        }
        text
    }
}

impl Report {
    pub(super) const fn begin(json: bool) -> Self {
        Self {
            checks: Vec::new(),
            json,
        }
    }

    pub(super) fn add(&mut self, check: Check) {
        if !self.json {
            let mut out = std::io::stdout().lock();
            let lines = check.lines(out.is_terminal());
            // A reader that closed the pipe has heard enough.
            let _ = out.write_all(lines.as_bytes());
        }
        self.checks.push(check);
    }

    /// How many checks failed.
    pub(super) fn finish(&self) -> usize {
        if self.json {
            let mut out = std::io::stdout().lock();
            let whole = Whole {
                verdict: self.worst(),
                checks: &self.checks,
            };
            if let Ok(text) = serde_json::to_string(&whole) {
                let _ = writeln!(out, "{text}");
            }
        }
        self.count(Verdict::Fail)
    }

    fn worst(&self) -> Verdict {
        if self.count(Verdict::Fail) > 0 {
            Verdict::Fail
        } else if self.count(Verdict::Warn) > 0 {
            Verdict::Warn
        } else {
            Verdict::Ok
        }
    }

    fn count(&self, verdict: Verdict) -> usize {
        let of_it = self.checks.iter().filter(|check| check.verdict == verdict);
        of_it.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_stands_below_what_was_seen_and_pipes_get_no_escapes() {
        let check = Check::warn("clock", "61 s ahead").advise("set it");
        assert_eq!(
            check.lines(false),
            "warn  clock: 61 s ahead\n      set it\n"
        );
        assert!(check.lines(true).starts_with("\x1b[33mwarn"));
    }

    #[test]
    fn the_worst_check_is_the_verdict() {
        let mut report = Report::begin(true);
        assert_eq!(report.worst(), Verdict::Ok);
        report.checks.push(Check::warn("a", ""));
        assert_eq!(report.worst(), Verdict::Warn);
        report.checks.push(Check::fail("b", ""));
        assert_eq!(
            (report.worst(), report.count(Verdict::Fail)),
            (Verdict::Fail, 1)
        );
    }
}
