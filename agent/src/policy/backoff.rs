//! How long to wait before the next attempt: full jitter, so that a thousand agents cut off by one event do not come
//! back at one moment.

use std::time::Duration;

use tokio::time::Instant;

/// The ceiling of the first wait.
const FIRST: Duration = Duration::from_millis(500);
/// The ceiling of every later wait: a dead edge costs each agent one attempt in half a minute on average.
const LONGEST: Duration = Duration::from_secs(60);
/// A session that lived this long shows that the trouble is over.
const HEALTHY: Duration = Duration::from_secs(60);
/// The longest `after` of an edge that is obeyed; a slip of units must not silence an agent for a year.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    up_since: Option<Instant>,
}

impl Backoff {
    pub(crate) fn up(&mut self, now: Instant) {
        self.up_since = Some(now);
    }

    /// The wait before the next attempt. `dice` is uniform in [0, 1); `asked` is the edge's own `after`, which is the
    /// least that is waited.
    pub(crate) fn down(&mut self, now: Instant, asked: Option<Duration>, dice: f64) -> Duration {
        if let Some(since) = self.up_since.take()
            && now.duration_since(since) >= HEALTHY
        {
            self.failures = 0;
        }
        let ceiling = FIRST
            .saturating_mul(2u32.saturating_pow(self.failures))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
        asked + ceiling.mul_f64(dice.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ceiling_doubles_to_a_minute_and_falls_back_after_health() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        let ceilings: Vec<_> = (0..9)
            .map(|_| backoff.down(now, None, 1.0).as_millis())
            .collect();
        assert_eq!(
            ceilings,
            [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]
        );

        backoff.up(now);
        let short = now + Duration::from_secs(59);
        assert_eq!(backoff.down(short, None, 1.0), LONGEST);
        backoff.up(short);
        let long = short + Duration::from_secs(60);
        assert_eq!(backoff.down(long, None, 1.0), FIRST);
    }

    proptest! {
        #[test]
        fn every_wait_is_bounded_and_never_shorter_than_asked(
            steps in prop::collection::vec((0.0..1.0f64, prop::option::of(0u64..100_000)), 1..80)
        ) {
            let now = Instant::now();
            let mut backoff = Backoff::default();
            for (dice, asked) in steps {
                let asked = asked.map(Duration::from_secs);
                let wait = backoff.down(now, asked, dice);
                prop_assert!(wait >= asked.unwrap_or_default().min(LONGEST_ASKED));
                prop_assert!(wait <= LONGEST_ASKED + LONGEST);
            }
        }
    }
}
