//! This machine's clock beside the provider's. Tokens and certificates are judged by clocks, and edges allow little.

use std::time::Duration;

use super::check::Check;

/// What this machine is ahead of the provider; `Date` has whole seconds, so nothing below two is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skew {
    Ahead(Duration),
    Behind(Duration),
    /// The provider's answers carry no date.
    Unknown,
}

/// Times in seconds since 1970: when the question was sent, what the answer's date is, when the answer came.
pub(super) fn skew(sent: f64, date: u64, came: f64) -> Skew {
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit exactly")]
    let date = date as f64;
    // The date was cut to whole seconds some time between the two.
    let (earliest, latest) = (sent - (date + 1.0), came - date);
    if earliest > 0.0 {
        Skew::Ahead(Duration::from_secs_f64(earliest))
    } else if latest < 0.0 {
        Skew::Behind(Duration::from_secs_f64(-latest))
    } else {
        Skew::Ahead(Duration::ZERO)
    }
}

pub(super) fn check(skew: Skew) -> Check {
    let (by, side) = match skew {
        Skew::Ahead(by) => (by, "ahead of"),
        Skew::Behind(by) => (by, "behind"),
        Skew::Unknown => {
            return Check::warn(
                "clock",
                "the provider's answers have no date to compare with",
            );
        }
    };
    if by < Duration::from_secs(1) {
        return Check::ok("clock", "the same as the provider's, to a second");
    }
    let seen = format!("at least {} s {side} the provider's", by.as_secs());
    let check = if by < token::LEEWAY {
        Check::warn("clock", seen)
    } else {
        Check::fail("clock", seen)
    };
    check.advise(format!(
        "set the clock of the one that is wrong (timedatectl set-ntp true): more than {} s and tokens are refused",
        token::LEEWAY.as_secs()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Verdict;

    #[test]
    fn a_date_within_the_time_of_the_question_tells_of_no_skew() {
        for (sent, came) in [(100.0, 100.1), (99.9, 100.1), (100.95, 101.2)] {
            assert_eq!(skew(sent, 100, came), Skew::Ahead(Duration::ZERO), "{sent}");
        }
    }

    #[test]
    fn a_skew_is_what_it_is_at_least() {
        assert_eq!(
            skew(163.0, 100, 163.5),
            Skew::Ahead(Duration::from_secs(62))
        );
        assert_eq!(skew(30.0, 100, 31.0), Skew::Behind(Duration::from_secs(69)));
    }

    #[test]
    fn what_tokens_forgive_is_a_warning() {
        let verdict = |by| check(Skew::Behind(Duration::from_secs(by))).verdict();
        assert_eq!(verdict(0), Verdict::Ok);
        assert_eq!(verdict(59), Verdict::Warn);
        assert_eq!(verdict(60), Verdict::Fail);
        assert_eq!(check(Skew::Unknown).verdict(), Verdict::Warn);
    }
}
