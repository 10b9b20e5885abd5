//! When a session gets a new token: well ahead of its end, and again and again until then if the provider is away.

use std::time::Duration;

use model::UnixTime;

/// The part of a session's remaining life after which it is refreshed, at the earliest; a provider that is away for a
/// third of it (hours) cuts nobody off.
const EARLIEST: f64 = 0.6;
const SPREAD: f64 = 0.1;
/// The ceilings of the waits between failed refreshes.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// Sessions that look so short are taken for a clock that is wrong, here or there: they are renewed ever more rarely, and not
/// in a loop.
const SHORTEST: Duration = Duration::from_millis(500);

/// The wait before the first refresh of a session that ends at `session_exp`; none where it seems to be over already.
pub(crate) fn first(now: UnixTime, session_exp: UnixTime, dice: f64) -> Option<Duration> {
    let left = session_exp.since(now);
    let wait = left.mul_f64(EARLIEST + SPREAD * dice.clamp(0.0, 1.0));
    (wait >= SHORTEST).then_some(wait)
}

/// The wait after the `failures`th failed refresh in a row, counted from one. There is no last one: what ends the
/// session is the edge, whose clock and grace count.
pub(crate) fn again(failures: u32, dice: f64) -> Duration {
    let ceiling = FIRST_RETRY
        .saturating_mul(2u32.saturating_pow(failures.saturating_sub(1)))
        .min(LONGEST_RETRY);
    // Half is fixed: full jitter could ask at once.
    (ceiling / 2) + (ceiling / 2).mul_f64(dice.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn twelve_hours_are_refreshed_after_seven_to_eight() {
        let (now, end) = (
            UnixTime::from_secs(1_000),
            UnixTime::from_secs(1_000 + 12 * 3600),
        );
        assert_eq!(
            first(now, end, 0.0),
            Some(Duration::from_secs(7 * 3600 + 12 * 60))
        );
        assert_eq!(
            first(now, end, 1.0),
            Some(Duration::from_secs(8 * 3600 + 24 * 60))
        );
    }

    #[test]
    fn retries_grow_to_five_minutes() {
        assert_eq!(again(1, 1.0), FIRST_RETRY);
        assert_eq!(again(2, 0.0), Duration::from_secs(1));
        assert_eq!(again(60, 1.0), LONGEST_RETRY);
    }

    proptest! {
        #[test]
        fn a_refresh_comes_before_the_end_and_never_at_once(now in 0u64..1 << 40, life in 0u64..1 << 20, dice in 0.0..1.0f64) {
            let wait = first(UnixTime::from_secs(now), UnixTime::from_secs(now + life), dice);
            prop_assert_eq!(wait.is_none(), life == 0);
            prop_assert!(wait.is_none_or(|wait| SHORTEST <= wait && wait < Duration::from_secs(life)));
        }
    }
}
