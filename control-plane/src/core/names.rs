//! Pleasant random names and ports, drawn from a seed. Pure.

use aws_lc_rs::digest;
use model::{AccountId, Kind, Label};
use std::ops::RangeInclusive;

/// Words that are easy to say over a telephone, and that are not names of people, places or brands.
const ADJECTIVES: [&str; 64] = [
    "amber", "brave", "bright", "brisk", "calm", "clever", "cosy", "crisp", "dapper", "eager",
    "early", "fair", "fancy", "fine", "fleet", "fond", "fresh", "gentle", "glad", "golden",
    "grand", "happy", "honest", "humble", "jolly", "keen", "kind", "light", "lively", "lucky",
    "mellow", "merry", "mighty", "mild", "misty", "neat", "nimble", "noble", "patient", "plucky",
    "polite", "proud", "quick", "quiet", "rapid", "ready", "rosy", "royal", "silver", "smart",
    "smooth", "snowy", "solid", "spry", "steady", "sunny", "swift", "tidy", "trusty", "vivid",
    "warm", "wise", "witty", "zesty",
];
const NOUNS: [&str; 64] = [
    "acorn", "badger", "beacon", "beaver", "birch", "bison", "brook", "canyon", "cedar", "cherry",
    "cliff", "clover", "comet", "coral", "crane", "dolphin", "eagle", "ember", "falcon", "fern",
    "finch", "fjord", "forest", "fox", "garden", "glacier", "harbor", "hare", "hazel", "heron",
    "island", "ivy", "jay", "juniper", "kestrel", "lagoon", "lark", "lemon", "lynx", "maple",
    "marten", "meadow", "moss", "oak", "orchid", "osprey", "otter", "owl", "panda", "pebble",
    "pine", "plover", "puffin", "quail", "raven", "reef", "river", "robin", "spruce", "swan",
    "thistle", "tulip", "walnut", "willow",
];
/// Draws of two words before a third one makes room: by then a good part of the 4,096 pairs must be taken.
const TWO_WORD_DRAWS: u32 = 8;

/// What a random name hangs on: the same for one account, machine, target and kind.
pub(crate) fn seed(account: &AccountId, machine: &str, target: &str, kind: Kind) -> [u8; 32] {
    let parts = [account.as_str(), machine, target, kind.as_str()];
    // Lengths keep "a" + "bc" apart from "ab" + "c".
    let text: String = parts
        .iter()
        .map(|part| format!("{}:{part};", part.len()))
        .collect();
    sha256(text.as_bytes())
}

/// The `draw`th name of a seed.
pub(crate) fn label(seed: &[u8; 32], draw: u32) -> Option<Label> {
    let bytes = nth(seed, draw);
    let (first, last) = (word(&ADJECTIVES, bytes[0]), word(&NOUNS, bytes[1]));
    let text = if draw < TWO_WORD_DRAWS {
        format!("{first}-{last}")
    } else {
        format!("{first}-{}-{last}", word(&ADJECTIVES, bytes[2]))
    };
    text.parse().ok()
}

/// The `draw`th port of a seed: a start of its own, and from there through the whole range.
pub(crate) fn port(seed: &[u8; 32], range: &RangeInclusive<u16>, draw: u32) -> Option<u16> {
    let size = u32::from(range.end().checked_sub(*range.start())?) + 1;
    if draw >= size {
        return None;
    }
    let start = u32::from(u16::from_be_bytes([seed[0], seed[1]]));
    u16::try_from(u32::from(*range.start()) + (start + draw) % size).ok()
}

fn word(words: &[&'static str; 64], byte: u8) -> &'static str {
    words[usize::from(byte % 64)]
}

fn nth(seed: &[u8; 32], draw: u32) -> [u8; 32] {
    sha256(&[seed.as_slice(), &draw.to_be_bytes()].concat())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn seed_of(target: &str) -> [u8; 32] {
        seed(&"acc_1".parse().unwrap(), "machine", target, Kind::Http)
    }

    #[test]
    fn names_are_stable_and_differ() {
        assert_eq!(label(&seed_of("3000"), 0), label(&seed_of("3000"), 0));
        let names: BTreeSet<_> = (0..200)
            .filter_map(|n| label(&seed_of(&n.to_string()), 0))
            .collect();
        assert!(names.len() > 180, "{}", names.len());
        let draws: BTreeSet<_> = (0..20)
            .filter_map(|draw| label(&seed_of("3000"), draw))
            .collect();
        assert!(draws.len() >= 19);
        assert_eq!(
            label(&seed_of("3000"), TWO_WORD_DRAWS)
                .unwrap()
                .as_str()
                .split('-')
                .count(),
            3
        );
    }

    #[test]
    fn every_port_of_the_range_comes_once() {
        let ports: BTreeSet<_> = (0..)
            .map_while(|draw| port(&seed_of("x"), &(44000..=44099), draw))
            .collect();
        assert_eq!(ports, (44000..=44099).collect());
    }
}
