//! A file as a type that serde reads, and the first thing that is wrong with it, told as [`crate::File`] tells it.

use serde::de::DeserializeOwned;
use toml::de::Error;

use crate::{Position, Problem, similar};

pub fn typed<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    toml::from_str(text).map_err(|error| explain(text, &error))
}

fn explain(text: &str, error: &Error) -> Problem {
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    let at = error.span().map(|span| Position::of(text, span.start));
    let problem = match unknown(&message) {
        Some(("field", name, known)) => similar::no_such_key(name, name, &known),
        Some((_, word, known)) => {
            let problem = Problem::new("", format!("{word:?} is none of {}", known.join(", ")));
            match similar::nearest(word, &known) {
                Some(meant) => problem.advise(format!("did you mean {meant}?")),
                None => problem,
            }
        }
        None => Problem::new("", &message),
    };
    problem.at(at)
}

/// What serde says of an unknown field or variant: which of both, its name, and the names that it knows.
fn unknown(message: &str) -> Option<(&str, &str, Vec<&str>)> {
    let (kind, _) = message.strip_prefix("unknown ")?.split_once(' ')?;
    let mut names = message.split('`').skip(1).step_by(2);
    Some((kind, names.next()?, names.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        #[allow(dead_code, reason = "only its name matters here")]
        server: Option<String>,
        #[allow(dead_code, reason = "only its name matters here")]
        token_file: Option<String>,
        #[allow(dead_code, reason = "only its names matter here")]
        kind: Option<Kind>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Http,
        Tcp,
    }

    fn said(text: &str) -> String {
        let problem = typed::<Written>(text).unwrap_err();
        let advice = problem.advice.clone().unwrap_or_default();
        format!("{}: {problem}; {advice}", problem.at.unwrap())
    }

    #[test]
    fn what_is_wrong_has_its_place_and_what_was_meant() {
        for (text, told) in [
            ("# ä\nserver = 7\n", "2:10: invalid type: integer"),
            ("server = \"a\"\nserver = \"b\"\n", "2:1: duplicate key"),
            (
                "\n\n  tokn_file = \"a\"\n",
                "3:3: tokn_file: there is no such key; did you mean token_file?",
            ),
            (
                "zzz = 1\n",
                "1:1: zzz: there is no such key; the keys here are server, token_file, kind",
            ),
            (
                "kind = \"htp\"\n",
                "1:8: \"htp\" is none of http, tcp; did you mean http?",
            ),
            (
                "kind = \"gopher\"\n",
                "1:8: \"gopher\" is none of http, tcp; ",
            ),
        ] {
            assert!(said(text).starts_with(told), "{}", said(text));
        }
    }
}
