//! Refresh tokens that change with each use (RFC 9700, section 4.14.2), and how a stolen one is noticed.
//!
//! The tokens of a grant are numbered, and each carries a MAC, so that one that was ours once is told from an invention: only
//! the former is a sign of theft. An answer can be lost on its way, so the token that was presented last is good once more
//! until one of its successors is seen.

use std::fmt;

use aws_lc_rs::hmac;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use model::GrantId;
use rand::RngCore;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Lets scanners of leaked secrets find them.
const PREFIX: &str = "aditr";
/// A key of SHA-256's size (RFC 2104, section 3).
const KEY_LEN: usize = 32;

/// The refresh tokens of one grant.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Chain {
    key: Zeroizing<String>,
    /// The newest.
    newest: u64,
    /// The one that `newest` was given for.
    spent: Option<u64>,
}

/// What a token that was presented means.
#[derive(Debug)]
pub(crate) enum Presented {
    /// It is good; this is the chain from now on, whose newest token is the answer.
    Good(Chain),
    /// It was good once: somebody else has used it.
    Replayed,
    /// It never was one.
    Unknown,
}

impl Chain {
    pub(crate) fn new() -> Self {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        rand::rng().fill_bytes(&mut *key);
        Self {
            key: Zeroizing::new(STANDARD_NO_PAD.encode(*key)),
            newest: 0,
            spent: None,
        }
    }

    /// The newest token's text.
    pub(crate) fn token(&self, grant: &GrantId) -> Zeroizing<String> {
        let message = message(grant, self.newest);
        let tag = hmac::sign(&self.key(), message.as_bytes());
        Zeroizing::new(format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)))
    }

    /// The grant that a token says it is of.
    pub(crate) fn grant_of(token: &str) -> Option<GrantId> {
        let mut parts = token.split('.');
        (parts.next()? == PREFIX).then_some(())?;
        parts.next()?.parse().ok()
    }

    pub(crate) fn present(&self, grant: &GrantId, token: &str) -> Presented {
        let Some(number) = self.number(grant, token) else {
            return Presented::Unknown;
        };
        if number != self.newest && Some(number) != self.spent {
            return Presented::Replayed;
        }
        Presented::Good(Self {
            key: self.key.clone(),
            newest: self.newest + 1,
            spent: Some(number),
        })
    }

    fn number(&self, grant: &GrantId, token: &str) -> Option<u64> {
        let (signed, tag) = token.rsplit_once('.')?;
        let number = signed.rsplit_once('.')?.1.parse().ok()?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        let same = hmac::verify(&self.key(), message(grant, number).as_bytes(), &tag).is_ok();
        (same && signed == message(grant, number)).then_some(number)
    }

    fn key(&self) -> hmac::Key {
        // Ours from `new`; what is damaged verifies nothing.
        let key = Zeroizing::new(STANDARD_NO_PAD.decode(&*self.key).unwrap_or_default());
        hmac::Key::new(hmac::HMAC_SHA256, &key)
    }
}

fn message(grant: &GrantId, number: u64) -> String {
    format!("{PREFIX}.{grant}.{number}")
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("newest", &self.newest)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grant() -> GrantId {
        "grt_1".parse().unwrap()
    }

    fn good(chain: &Chain, token: &str) -> Chain {
        match chain.present(&grant(), token) {
            Presented::Good(next) => next,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_use_gives_the_next() {
        let mut chain = Chain::new();
        for _ in 0..3 {
            let token = chain.token(&grant());
            assert_eq!(Chain::grant_of(&token), Some(grant()));
            chain = good(&chain, &token);
            assert_ne!(*token, *chain.token(&grant()));
        }
    }

    #[test]
    fn a_lost_answer_is_given_again() {
        let first = Chain::new();
        let token = first.token(&grant());
        let second = good(&first, &token);
        let third = good(&second, &token);
        // The answer came at last: what was good for it is spent.
        let fourth = good(&third, &third.token(&grant()));
        assert!(matches!(
            fourth.present(&grant(), &token),
            Presented::Replayed
        ));
    }

    #[test]
    fn two_holders_are_noticed_whoever_comes_first() {
        let first = Chain::new();
        let stolen = first.token(&grant());
        // The thief refreshes, then the owner does, who knows only the stolen one.
        let thief = good(&first, &stolen);
        let owner = good(&thief, &stolen);
        let thiefs = thief.token(&grant());
        assert!(matches!(
            owner.present(&grant(), &thiefs),
            Presented::Replayed
        ));
        // And when the owner was faster once more, the thief's is as old.
        let owner = good(&owner, &owner.token(&grant()));
        assert!(matches!(
            owner.present(&grant(), &thiefs),
            Presented::Replayed
        ));
    }

    #[test]
    fn an_invention_is_no_theft() {
        let chain = Chain::new();
        let token = chain.token(&grant());
        let other = Chain::new().token(&grant());
        let elsewhere = chain.token(&"grt_2".parse().unwrap());
        for unknown in [
            "",
            "aditr.grt_1.0.",
            "aditr.grt_1.7.AAAA",
            &token[..token.len() - 1],
            &token.replace(".0.", ".00."),
            &token.replace("aditr", "aditx"),
            &other,
            &elsewhere,
        ] {
            assert!(
                matches!(chain.present(&grant(), unknown), Presented::Unknown),
                "{unknown}"
            );
        }
    }

    #[test]
    fn a_chain_is_kept_and_not_shown() {
        let chain = Chain::new();
        let json = serde_json::to_string(&chain).unwrap();
        let back: Chain = serde_json::from_str(&json).unwrap();
        assert_eq!(*back.token(&grant()), *chain.token(&grant()));
        assert!(!format!("{chain:?}").contains(&*chain.key));
    }

    proptest! {
        /// Whatever two holders of copies do, as soon as both have used what they got, one of them is found out.
        #[test]
        fn no_order_of_uses_hides_a_second_holder(order in proptest::collection::vec(any::<bool>(), 2..30)) {
            let mut chain = Chain::new();
            let mut held = [chain.token(&grant()), chain.token(&grant())];
            let (mut uses, mut noticed) = ([0, 0], false);
            for who in order.into_iter().map(usize::from) {
                uses[who] += 1;
                match chain.present(&grant(), &held[who]) {
                    Presented::Good(next) => {
                        held[who] = next.token(&grant());
                        chain = next;
                    }
                    Presented::Replayed => {
                        noticed = true;
                        break;
                    }
                    Presented::Unknown => prop_assert!(false, "both hold tokens of the chain"),
                }
            }
            prop_assert!(noticed || uses[0] < 2 || uses[1] < 2);
        }
    }
}
