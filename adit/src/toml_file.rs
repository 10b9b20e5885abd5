//! A TOML file as a type, or one line that says where it is wrong and what was meant.

use std::path::Path;

use serde::de::DeserializeOwned;
use toml::de::Error;

use crate::failure::{Exit, Failure};

pub(crate) fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Failure> {
    toml::from_str(text).map_err(|error| explain(path, text, &error))
}

/// A failure at `offset` of the file.
pub(crate) fn failure_at(path: &Path, text: &str, offset: usize, message: &str) -> Failure {
    let (line, column) = position(text, offset);
    let path = path.display();
    Failure::new(Exit::Usage, format!("{path}:{line}:{column}: {message}"))
}

fn explain(path: &Path, text: &str, error: &Error) -> Failure {
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    let failure = match error.span() {
        Some(span) => failure_at(path, text, span.start, &message),
        None => Failure::new(Exit::Usage, format!("{}: {message}", path.display())),
    };
    match meant(&message) {
        Some(name) => failure.advise(format!("did you mean {name}?")),
        None => failure,
    }
}

/// Line and column in characters, counted from one.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// The known name that is nearest to the unknown one. serde writes both into its message, the unknown one first.
fn meant(message: &str) -> Option<&str> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let near = |name: &&str| distance(unknown, name) <= unknown.chars().count().max(3) / 3;
    names
        .filter(near)
        .min_by_key(|name| distance(unknown, name))
}

/// How many characters have to be changed, added or left out (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let cost = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[allow(dead_code, reason = "only its name matters here")]
        server: Option<String>,
        #[allow(dead_code, reason = "only its name matters here")]
        token_file: Option<String>,
    }

    fn said(text: &str) -> String {
        let failure = parse::<File>(Path::new("a.toml"), text).unwrap_err();
        failure.to_string()
    }

    #[test]
    fn an_error_has_its_place() {
        assert!(said("# ä\nserver = 7\n").starts_with("a.toml:2:10: invalid type"));
        assert!(said("server = \"a\"\nserver = \"b\"\n").starts_with("a.toml:2:1: duplicate key"));
        let unknown = said("\n\n  tokn_file = \"a\"\n");
        assert!(
            unknown.starts_with("a.toml:3:3: unknown field"),
            "{unknown}"
        );
    }

    #[test]
    fn a_slip_is_recognised() {
        let message = "unknown field `tokn_file`, expected `server` or `token_file`";
        assert_eq!(meant(message), Some("token_file"));
        assert_eq!(
            meant("unknown field `zzz`, expected `server` or `token_file`"),
            None
        );
        assert_eq!(meant("invalid type: `server`, expected `serve`"), None);
        assert_eq!((distance("kitten", "sitting"), distance("", "ab")), (3, 2));
    }
}
