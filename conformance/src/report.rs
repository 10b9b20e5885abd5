//! What came of the cases: a line for people, a JSON value for programs.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::case::{Binding, Finding, Outcome};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Result {
    Passed,
    Failed,
    NotTested,
}

#[derive(Clone, Debug, Serialize)]
pub struct Line {
    pub case: &'static str,
    pub section: &'static str,
    pub binding: Binding,
    pub says: &'static str,
    pub result: Result,
    /// What was seen instead, or what is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Name, section and sentence of a case.
pub(crate) type Question = (&'static str, &'static str, &'static str);

/// All cases that were asked, in the order of the specification.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub cases: Vec<Line>,
    pub passed: usize,
    pub failed: usize,
    pub not_tested: usize,
}

impl Line {
    pub(crate) fn new(of: Question, binding: Binding, outcome: Outcome) -> Self {
        let (case, section, says) = of;
        let (result, why) = match outcome {
            Ok(()) => (Result::Passed, None),
            Err(Finding::Failed(why)) => (Result::Failed, Some(why)),
            Err(Finding::NotTested(why)) => (Result::NotTested, Some(why)),
        };
        Self {
            case,
            section,
            binding,
            says,
            result,
            // What a peer says may hold anything.
            why: why.map(|why| why.replace(char::is_control, " ")),
        }
    }
}

impl Report {
    pub(crate) fn new(cases: Vec<Line>) -> Self {
        let count = |result| cases.iter().filter(|line| line.result == result).count();
        Self {
            passed: count(Result::Passed),
            failed: count(Result::Failed),
            not_tested: count(Result::NotTested),
            cases,
        }
    }

    /// The names of the cases that failed, each once.
    pub fn failures(&self) -> Vec<&'static str> {
        let failed = self.cases.iter().filter(|l| l.result == Result::Failed);
        let mut names: Vec<_> = failed.map(|line| line.case).collect();
        names.dedup();
        names
    }
}

impl Result {
    const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::NotTested => "not tested",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.cases {
            let Line {
                case,
                section,
                binding,
                says,
                result,
                why,
            } = line;
            writeln!(
                f,
                "{:<10}  {section:<5}  {binding:<6}  {case:<24}  {says}",
                result.word()
            )?;
            if let Some(why) = why {
                writeln!(f, "{:29}{why}", "")?;
            }
        }
        let Self {
            passed,
            failed,
            not_tested,
            ..
        } = self;
        f.write_char('\n')?;
        writeln!(
            f,
            "{passed} passed, {failed} failed, {not_tested} not tested"
        )
    }
}
