//! Whether the peer still lives, and how far away it is.

use std::time::{Duration, Instant};

use super::error::MuxError;

/// How many idle times a ping may stay unanswered while other bytes come: a slow uplink may have megabytes in front of it.
const PONG_WITHIN: u32 = 2;

#[derive(Debug)]
pub(super) struct Keepalive {
    every: Duration,
    idle: Duration,
    heard: Instant,
    next: Instant,
    id: u32,
    waiting: Option<Instant>,
    rtt: Option<Duration>,
}

impl Keepalive {
    /// The first ping is due at once: its answer tells the round trip.
    pub(super) const fn new(every: Duration, idle: Duration, now: Instant) -> Self {
        Self {
            every,
            idle,
            heard: now,
            next: now,
            id: 0,
            waiting: None,
            rtt: None,
        }
    }

    pub(super) const fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    pub(super) const fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    pub(super) fn deadline(&self) -> Instant {
        self.next.min(self.heard + self.idle)
    }

    /// The number of the ping that is to be sent now, if one is.
    pub(super) fn tick(&mut self, now: Instant) -> Result<Option<u32>, MuxError> {
        let late = |since: Instant, most| now.saturating_duration_since(since) >= most;
        let unanswered = self
            .waiting
            .is_some_and(|at| late(at, self.idle * PONG_WITHIN));
        if late(self.heard, self.idle) || unanswered {
            return Err(MuxError::TimedOut);
        }
        if now < self.next {
            return Ok(None);
        }
        self.next = now + self.every;
        if self.waiting.is_some() {
            return Ok(None);
        }
        self.id = self.id.wrapping_add(1);
        self.waiting = Some(now);
        Ok(Some(self.id))
    }

    /// Follows a shorter round trip at once and a longer one slowly: queues in front of a ping are not distance.
    pub(super) fn pong(&mut self, id: u32, now: Instant) {
        if id != self.id {
            return;
        }
        let Some(sent) = self.waiting.take() else {
            return;
        };
        let sample = now.saturating_duration_since(sent);
        self.rtt = Some(match self.rtt {
            Some(rtt) if rtt < sample => (rtt * 7 + sample) / 8,
            _ => sample,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn pings_measure_and_silence_ends() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(15 * S, 45 * S, start);
        assert_eq!(keepalive.tick(start), Ok(Some(1)));
        keepalive.pong(9, start + S);
        assert_eq!(keepalive.rtt(), None, "not our ping");
        keepalive.pong(1, start + S);
        assert_eq!(keepalive.rtt(), Some(S));
        keepalive.heard(start + S);
        assert_eq!(keepalive.tick(start + 14 * S), Ok(None));
        assert_eq!(keepalive.tick(start + 15 * S), Ok(Some(2)));
        keepalive.pong(2, start + 24 * S);
        assert_eq!(keepalive.rtt(), Some(2 * S));
        assert!(keepalive.tick(start + 45 * S).is_ok());
        assert_eq!(keepalive.tick(start + 46 * S), Err(MuxError::TimedOut));
    }

    #[test]
    fn a_peer_that_sends_but_does_not_read_is_dead_too() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(15 * S, 45 * S, start);
        let mut last = Ok(None);
        for second in 0..=90 {
            keepalive.heard(start + second * S);
            last = keepalive.tick(start + second * S);
            assert!(last.is_ok() || second == 90);
        }
        assert_eq!(last, Err(MuxError::TimedOut));
    }
}
