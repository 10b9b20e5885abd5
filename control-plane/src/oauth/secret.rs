//! Codes that are good for a short time: the time stands in them, so that what is kept of them can be found and forgotten by it.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use model::UnixTime;
use rand::RngCore;
use zeroize::Zeroizing;

/// 256 bits are out of reach of any guess.
const SECRET_LEN: usize = 32;

/// A code as the client holds it; we keep its hash.
pub(crate) struct TimedSecret {
    expires: UnixTime,
    text: Zeroizing<String>,
}

impl TimedSecret {
    pub(crate) fn new(expires: UnixTime) -> Self {
        let mut secret = Zeroizing::new([0; SECRET_LEN]);
        rand::rng().fill_bytes(&mut *secret);
        let text = format!("{}.{}", expires.as_secs(), URL_SAFE_NO_PAD.encode(*secret));
        Self {
            expires,
            text: Zeroizing::new(text),
        }
    }

    /// Text of that form, whoever made it up.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (expires, secret) = text.split_once('.')?;
        let secs: u64 = expires.parse().ok()?;
        // One text for one place.
        (secs.to_string() == expires && secs < 1_000_000_000_000 && secret.len() == 43).then(|| {
            Self {
                expires: UnixTime::from_secs(secs),
                text: Zeroizing::new(text.to_owned()),
            }
        })
    }

    pub(crate) fn expose(&self) -> &str {
        &self.text
    }

    pub(crate) const fn expires(&self) -> UnixTime {
        self.expires
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, self.text.as_bytes()).as_ref());
        hash
    }
}

impl fmt::Debug for TimedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedSecret")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_again_by_its_time_and_hash() {
        let code = TimedSecret::new(UnixTime::from_secs(1_800_000_000));
        let back = TimedSecret::read(code.expose()).unwrap();
        assert_eq!((back.expires(), back.hash()), (code.expires(), code.hash()));
        assert!(!format!("{code:?}").contains(code.expose()));
    }

    #[test]
    fn other_texts_are_none() {
        let secret = "A".repeat(43);
        for text in [
            String::new(),
            secret.clone(),
            format!(".{secret}"),
            format!("01.{secret}"),
            format!("-1.{secret}"),
            format!("+1.{secret}"),
            format!("9999999999999.{secret}"),
            format!("1.{secret}A"),
        ] {
            assert!(TimedSecret::read(&text).is_none(), "{text}");
        }
    }
}
