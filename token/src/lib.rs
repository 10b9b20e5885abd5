//! Tokens: signed JWTs that carry a grant (RFC 9068 with authorization details of RFC 9396), and what is checked of them.
//!
//! Everything here is pure: the time is an argument, keys and revocations are values. An edge verifies with
//! [`verify`] and [`Revocations::check`] and asks nobody.

mod claims;
mod key;
mod proof;
mod revoke;
mod rotation;
mod sign;
mod verify;
mod wire;

pub use claims::Claims;
pub use key::{KeyError, KeySet, PublicKey, SigningKey};
pub use proof::{Binding, MAX_PROOF_LEN, ProofError, ProofKey, check_proof, is_thumbprint};
pub use revoke::Revocations;
pub use rotation::{KeyRecord, OVERLAP, SIGNING_PERIOD, Step, plan, signer};
pub use sign::{SignError, Token};
pub use verify::{Expect, LEEWAY, MAX_TOKEN_LEN, TokenError, verify};
