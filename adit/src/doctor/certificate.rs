//! Until when a certificate is good. That it is trusted was found out in the handshake.

use model::UnixTime;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::admin::moment;

/// A certificate that is replaced by itself has been by then.
const SOON: u64 = 7 * 24 * 3600;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) until: String,
    /// It ends within days, and nothing has replaced it.
    pub(super) soon: bool,
}

pub(super) fn validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Option<Validity> {
    let (_, leaf) = X509Certificate::from_der(certificate).ok()?;
    let ends = u64::try_from(leaf.validity().not_after.timestamp()).ok()?;
    let begins = u64::try_from(leaf.validity().not_before.timestamp()).ok()?;
    Some(at(begins, ends, now.as_secs()))
}

/// One that lives for less than three times as long as that is told of in its last third.
fn at(begins: u64, ends: u64, now: u64) -> Validity {
    let notice = SOON.min(ends.saturating_sub(begins) / 3);
    Validity {
        until: moment(ends),
        soon: now.saturating_add(notice) > ends,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_told_of_a_week_before_or_in_the_last_third() {
        const DAY: u64 = 24 * 3600;
        let soon = |life: u64, age: u64| at(0, life * DAY, age * DAY).soon;
        assert!(!soon(90, 83) && soon(90, 84));
        assert!(!soon(6, 4) && soon(6, 5));
    }
}
