//! The windows of one stream: how much the peer may still send, and how much we.

use std::time::{Duration, Instant};

use super::{budget::Share, error::Violation};

/// What yamux gives each direction of a new stream.
pub(super) const FIRST_WINDOW: u32 = 256 * 1024;
/// Half a window that was read in less than this doubles it even where a round trip is shorter: on a near path the window
/// decides how often both sides wake each other (256 KiB cost a fifth of the speed there).
const QUICK: Duration = Duration::from_millis(2);
/// Half a window that took longer than this halves it: its growth is of use to others.
const SLOW: Duration = Duration::from_secs(1);
/// Round trips in which half a window is read when the window is what holds the sender back.
const ROUND_TRIPS: u32 = 2;

/// First size of a data frame: one TLS record.
const FIRST_FRAME: u32 = 16 * 1024;
/// Largest body of a data frame that we send: a whole write buffer, and what other implementations take.
pub(super) const MAX_FRAME: u32 = 256 * 1024;

/// The receiving direction.
#[derive(Debug)]
pub(super) struct Inbound {
    /// What the peer may still send.
    left: u32,
    /// What the peer may send when all is read.
    target: u32,
    /// When credit was given last.
    since: Instant,
}

/// What tells quick readers from slow ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) now: Instant,
    pub(super) rtt: Option<Duration>,
}

/// The sending direction.
#[derive(Debug)]
pub(super) struct Outbound {
    pub(super) window: u32,
    /// How long the stream's next frame may be: what it gets at one turn.
    frame: u32,
}

impl Inbound {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            left: FIRST_WINDOW,
            target: FIRST_WINDOW,
            since: now,
        }
    }

    pub(super) const fn left(&self) -> u32 {
        self.left
    }

    /// By how much the window has grown.
    pub(super) fn grown(&self) -> usize {
        size(self.target - FIRST_WINDOW)
    }

    /// A frame of `length` bytes arrives for `stream`.
    pub(super) fn take(&mut self, length: u32, stream: u32) -> Result<(), Violation> {
        let left = self.left.checked_sub(length);
        self.left = left.ok_or(Violation::WindowExceeded(stream))?;
        Ok(())
    }

    /// The credit that is due now that `unread` bytes are left, if enough to be worth a frame.
    pub(super) fn give(
        &mut self,
        unread: usize,
        pace: Pace,
        max: u32,
        memory: &mut Share,
    ) -> Option<u32> {
        if self.owed(unread) < self.target / 2 {
            return None;
        }
        self.tune(pace, max, memory);
        self.since = pace.now;
        let credit = self.owed(unread);
        self.left += credit;
        (credit > 0).then_some(credit)
    }

    fn owed(&self, unread: usize) -> u32 {
        let promised = self
            .left
            .saturating_add(u32::try_from(unread).unwrap_or(u32::MAX));
        self.target.saturating_sub(promised)
    }

    fn tune(&mut self, pace: Pace, max: u32, memory: &mut Share) {
        let took = pace.now.saturating_duration_since(self.since);
        let quick = pace.rtt.map_or(QUICK, |rtt| QUICK.max(rtt * ROUND_TRIPS));
        if took < quick {
            let target = self.target.saturating_mul(2).min(max).max(self.target);
            if target > self.target && memory.try_grow(size(target - self.target)) {
                self.target = target;
            }
        } else if took > SLOW.max(quick) {
            let target = (self.target / 2).max(FIRST_WINDOW);
            memory.shrink(size(self.target - target));
            self.target = target;
        }
    }
}

impl Outbound {
    pub(super) const fn new() -> Self {
        Self {
            window: FIRST_WINDOW,
            frame: FIRST_FRAME,
        }
    }

    pub(super) const fn frame(&self) -> u32 {
        self.frame
    }

    /// How much of `wanted` may go out, behind `open` bytes of a frame that can still take more.
    pub(super) fn most(&self, wanted: usize, open: Option<u32>) -> usize {
        let room = match open {
            Some(open) if open < self.frame => self.frame - open,
            _ => self.frame,
        };
        wanted.min(size(self.window.min(room)))
    }

    /// `sent` bytes went out, in a frame that is `frame` bytes long by now.
    pub(super) fn sent(&mut self, sent: usize, frame: u32) {
        self.window -= u32::try_from(sent).unwrap_or(self.window);
        if frame >= self.frame {
            self.frame = self.frame.saturating_mul(2).min(MAX_FRAME);
        } else if frame < self.frame / 4 {
            self.frame = (self.frame / 2).max(FIRST_FRAME);
        }
    }
}

/// Lossless on all that we run on.
pub(super) fn size(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{super::budget::Budget, *};

    const MAX: u32 = 16 << 20;

    fn share(limit: usize) -> Share {
        Share::new(Arc::new(Budget::new(usize::MAX)), limit)
    }

    /// Uses and reads a window again and again, each half in `took`; gives the windows.
    fn drain(memory: &mut Share, took: Duration, rtt: Duration, rounds: usize) -> Vec<u32> {
        let mut now = Instant::now();
        let mut window = Inbound::new(now);
        let mut windows = Vec::new();
        for _ in 0..rounds {
            now += took;
            window.take(window.target / 2, 1).unwrap();
            let pace = Pace {
                now,
                rtt: Some(rtt),
            };
            window.give(0, pace, MAX, memory).unwrap();
            assert_eq!(window.left, window.target);
            windows.push(window.target);
        }
        assert_eq!(memory.grown(), window.grown());
        windows
    }

    #[test]
    fn a_window_grows_to_four_times_what_is_under_way() {
        let mut memory = share(usize::MAX);
        // 20 MB/s over 100 ms: 2 MB under way.
        let rtt = Duration::from_millis(100);
        let mut now = Instant::now();
        let mut window = Inbound::new(now);
        for _ in 0..20 {
            let half = window.target / 2;
            now += Duration::from_secs_f64(f64::from(half) / 20e6);
            window.take(half, 1).unwrap();
            window
                .give(
                    0,
                    Pace {
                        now,
                        rtt: Some(rtt),
                    },
                    MAX,
                    &mut memory,
                )
                .unwrap();
        }
        assert_eq!(window.target, 8 << 20);
    }

    #[test]
    fn quick_streams_grow_to_the_bound_and_slow_ones_do_not() {
        let ms = Duration::from_millis;
        let quick = drain(&mut share(usize::MAX), ms(1), ms(0), 10);
        assert_eq!(quick[9], MAX);
        let slow = drain(&mut share(usize::MAX), ms(900), ms(10), 10);
        assert_eq!(slow[9], FIRST_WINDOW);
    }

    #[test]
    fn growth_ends_where_the_budget_does() {
        let mut memory = share(4 << 20);
        let windows = drain(&mut memory, Duration::ZERO, Duration::ZERO, 10);
        assert_eq!(windows[9], 2 << 20);
        assert!(memory.denied > 0);
    }

    #[test]
    fn a_stream_that_became_slow_gives_back() {
        let mut memory = share(usize::MAX);
        let mut now = Instant::now();
        let mut window = Inbound::new(now);
        let mut step = |took, window: &mut Inbound| {
            now += took;
            window.take(window.left / 2, 1).unwrap();
            window.give(0, Pace { now, rtt: None }, MAX, &mut memory);
        };
        (0..4).for_each(|_| step(Duration::ZERO, &mut window));
        assert_eq!(window.target, FIRST_WINDOW << 4);
        (0..40).for_each(|_| step(Duration::from_secs(2), &mut window));
        assert_eq!((window.target, memory.grown()), (FIRST_WINDOW, 0));
    }

    #[test]
    fn unread_bytes_earn_no_credit() {
        let mut memory = share(usize::MAX);
        let mut window = Inbound::new(Instant::now());
        window.take(FIRST_WINDOW, 1).unwrap();
        let pace = Pace {
            now: Instant::now(),
            rtt: None,
        };
        assert_eq!(
            window.give(size(FIRST_WINDOW), pace, MAX, &mut memory),
            None
        );
        assert_eq!(
            window.give(size(FIRST_WINDOW / 2 + 1), pace, MAX, &mut memory),
            None
        );
        assert!(
            window
                .give(size(FIRST_WINDOW / 2), pace, MAX, &mut memory)
                .is_some()
        );
        assert_eq!(window.take(u32::MAX, 7), Err(Violation::WindowExceeded(7)));
    }

    #[test]
    fn frames_grow_while_they_are_full() {
        let mut send = Outbound::new();
        send.window = u32::MAX;
        assert_eq!(send.most(1 << 20, None), 16 << 10);
        for _ in 0..10 {
            send.sent(size(send.frame), send.frame);
        }
        assert_eq!(send.frame, MAX_FRAME);
        assert_eq!(send.most(1 << 20, Some(1)), size(MAX_FRAME) - 1);
        for _ in 0..10 {
            send.sent(100, 100);
        }
        assert_eq!(send.frame, FIRST_FRAME);
    }
}
