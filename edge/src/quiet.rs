//! Lines of the log that strangers can cause as often as they like: some a second are written, the rest is counted.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long one round lasts.
const ROUND: Duration = Duration::from_secs(1);
/// Lines of one kind in a round: enough to see what goes on, too few to fill a disk (some 100 MB a day at the worst).
const LINES: u32 = 10;

/// One kind of line.
#[derive(Debug, Default)]
pub(crate) struct Quiet(Mutex<Round>);

#[derive(Debug, Default)]
struct Round {
    began: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl Quiet {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Round {
            began: None,
            written: 0,
            left_out: 0,
        }))
    }

    /// Whether a line may be written now, and how many were left out since the last one.
    pub(crate) fn admits(&self, now: Instant) -> Option<u64> {
        let mut round = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = round.began.is_none_or(|began| now >= began + ROUND);
        if is_over {
            round.began = Some(now);
            round.written = 0;
        }
        if round.written == LINES {
            round.left_out += 1;
            return None;
        }
        round.written += 1;
        Some(std::mem::take(&mut round.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_told_of() {
        let (quiet, start) = (Quiet::new(), Instant::now());
        let admitted = (0..100).filter(|_| quiet.admits(start).is_some());
        assert_eq!(admitted.count(), LINES as usize);
        assert_eq!(quiet.admits(start + ROUND), Some(90));
        assert_eq!(quiet.admits(start + ROUND), Some(0));
    }
}
