//! When a tunnel that could not be had is tried again. Pure.

use std::time::Duration;

use crate::failure::Exit;

/// The ceilings of the waits: a name that is taken is not given back within seconds, and each try asks the provider.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The wait after the `failures`th failure in a row, counted from one; none when only another file can help.
pub(super) fn wait(exit: Exit, failures: u32, dice: f64) -> Option<Duration> {
    if exit == Exit::Usage {
        return None;
    }
    let ceiling = FIRST
        .saturating_mul(2u32.saturating_pow(failures.saturating_sub(1)))
        .min(LONGEST);
    // Half is fixed: full jitter could ask at once.
    Some(ceiling / 2 + (ceiling / 2).mul_f64(dice.clamp(0.0, 1.0)))
}

/// Whether nothing but another file, or another credential, can help.
pub(super) fn is_hopeless(exit: Exit) -> bool {
    matches!(exit, Exit::Usage | Exit::Credential | Exit::NoProvider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_a_slip_is_not_tried_again() {
        assert_eq!(wait(Exit::Refused, 1, 1.0), Some(FIRST));
        assert_eq!(wait(Exit::Refused, 3, 0.0), Some(Duration::from_secs(2)));
        assert_eq!(wait(Exit::Unreachable, 99, 1.0), Some(LONGEST));
        assert_eq!(wait(Exit::Usage, 1, 0.5), None);
    }
}
