//! "Did you mean": the known word that a mistyped one is nearest to.

use crate::Problem;

/// Of a key `name`, at `path`, in a table that has the `known` ones.
pub(crate) fn no_such_key(path: &str, name: &str, known: &[&str]) -> Problem {
    let advice = match nearest(name, known) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("the keys here are {}", known.join(", ")),
    };
    Problem::new(path, "there is no such key").advise(advice)
}

/// The nearest of `known`, if it is near enough that a person would have meant it.
pub(crate) fn nearest<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    let typed: Vec<char> = plain(typed);
    let distances = known
        .iter()
        .map(|word| (distance(&typed, &plain(word)), *word));
    let (best, word) = distances.min()?;
    (best <= 1 + typed.len().min(word.len()) / 4).then_some(word)
}

/// `controlPlane`, `control_plane` and `control-plane` are the same mistake away from each other: none.
fn plain(word: &str) -> Vec<char> {
    word.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Levenshtein's: insertions, deletions and replacements.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found_and_the_rest_is_not() {
        let known = ["zone", "data_dir", "control-plane", "certificates"];
        for (typed, meant) in [
            ("zoen", Some("zone")),
            ("dataDir", Some("data_dir")),
            ("control_plane", Some("control-plane")),
            ("certificate", Some("certificates")),
            ("acme", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, &known), meant, "{typed}");
        }
    }
}
