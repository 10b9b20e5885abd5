//! How a command fails: an exit code of docs/cli.md, one line that says what is wrong, and lines that say what to do.

use std::{
    fmt::{self, Display},
    io::{IsTerminal, Write},
    process::ExitCode,
};

/// The exit codes of docs/cli.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    NoProvider = 3,
    Credential = 4,
    Refused = 5,
    Unreachable = 6,
    InUse = 7,
    Replaced = 8,
}

#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    advice: Vec<String>,
}

impl Exit {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NoProvider => "no-provider",
            Self::Credential => "credential",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::InUse => "in-use",
            Self::Replaced => "replaced",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
            advice: Vec::new(),
        }
    }

    /// Adds a line that says what to do.
    #[must_use]
    pub(crate) fn advise(mut self, line: impl Display) -> Self {
        self.advice.push(line.to_string());
        self
    }

    /// The same, for another place that has to know of it.
    pub(crate) fn again(&self) -> Self {
        Self {
            exit: self.exit,
            message: self.message.clone(),
            advice: self.advice.clone(),
        }
    }

    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn advice(&self) -> &[String] {
        &self.advice
    }

    pub(crate) fn print(&self) {
        let mut out = std::io::stderr().lock();
        let (red, plain) = if out.is_terminal() {
            ("\x1b[31m", "\x1b[0m")
        } else {
            ("", "")
        };
        // Nobody is left to be told when standard error is closed.
        let _ = writeln!(out, "{red}adit:{plain} {}", self.message);
        for line in &self.advice {
            let _ = writeln!(out, "  {line}");
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Gives an error an exit code on its way up.
pub(crate) trait OrFail<T> {
    fn or_fail(self, exit: Exit, doing: impl Display) -> Result<T, Failure>;
}

impl<T, E: Display> OrFail<T> for Result<T, E> {
    fn or_fail(self, exit: Exit, doing: impl Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(exit, format!("{doing}: {error}")))
    }
}
