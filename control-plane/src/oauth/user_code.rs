//! What a person types to say which device is theirs (RFC 8628, section 6.1).

use std::fmt;

use rand::{Rng, RngCore};

/// No vowels, so no words; nothing that looks like a digit.
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// 34 bits: with the few tries that a person has, a guess hits one of a thousand pending codes less often than once in a
/// million years of trying.
const LEN: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserCode([u8; LEN]);

impl UserCode {
    pub(crate) fn draw(chance: &mut impl RngCore) -> Self {
        Self(std::array::from_fn(|_| {
            ALPHABET[chance.random_range(0..ALPHABET.len())]
        }))
    }

    /// However it was typed: in any case, with or without the hyphen.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut letters = text
            .bytes()
            .filter(|byte| !b" -".contains(byte))
            .map(|byte| byte.to_ascii_uppercase());
        let mut code = [0; LEN];
        for place in &mut code {
            *place = letters.next().filter(|letter| ALPHABET.contains(letter))?;
        }
        letters.next().is_none().then_some(Self(code))
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, letter) in self.0.iter().enumerate() {
            if at == LEN / 2 {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(*letter))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = UserCode::draw(&mut rand::rng());
        let text = code.to_string();
        assert_eq!(text.len(), LEN + 1);
        for typed in [
            text.clone(),
            text.to_lowercase(),
            text.replace('-', ""),
            format!(" {} ", text.replace('-', " - ")),
        ] {
            assert_eq!(UserCode::read(&typed), Some(code.clone()), "{typed}");
        }
    }

    #[test]
    fn other_texts_are_none() {
        for text in [
            "",
            "BCDF-GHJ",
            "BCDF-GHJKL",
            "BCDF-GHJA",
            "BCDF_GHJK",
            "BCDF-GHJ1",
            "éCDF-GHJK",
        ] {
            assert_eq!(UserCode::read(text), None, "{text}");
        }
    }
}
