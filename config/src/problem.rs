//! What is wrong with a file, where, and what to do about it.

use std::fmt;

/// Counted from one, in characters, as editors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// None where something is missing, or was typed on the command line.
    pub at: Option<Position>,
    /// The key, as in `edge.https`; empty for the file as a whole.
    pub key: String,
    pub message: String,
    /// What to do.
    pub advice: Option<String>,
}

impl Position {
    /// Of the byte at `offset`.
    pub fn of(text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl Problem {
    pub fn new(key: impl Into<String>, message: impl fmt::Display) -> Self {
        Self {
            at: None,
            key: key.into(),
            message: message.to_string(),
            advice: None,
        }
    }

    #[must_use]
    pub fn at(mut self, at: Option<Position>) -> Self {
        self.at = at;
        self
    }

    #[must_use]
    pub fn advise(mut self, advice: impl fmt::Display) -> Self {
        self.advice = Some(advice.to_string());
        self
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl fmt::Display for Problem {
    /// Without the place, which is printed in front of it together with the file's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_as_editors_do() {
        let text = "a = 1\nzähler = 2\n";
        let at = |offset| Position::of(text, offset).to_string();
        assert_eq!(at(0), "1:1");
        assert_eq!(at(text.find('2').unwrap()), "2:10");
        assert_eq!(at(8), "2:2", "inside a character");
        assert_eq!(at(10_000), "3:1");
    }
}
