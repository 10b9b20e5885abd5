//! What one request has moved so far. Shared by its two bodies, the deadline for the answer, and the access log.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

#[derive(Debug)]
pub(super) struct Meter {
    started: Instant,
    up: AtomicU64,
    down: AtomicU64,
    /// When the request's body last moved, in microseconds after `started`.
    moved: AtomicU64,
    upload_done: AtomicBool,
    upload_broke: AtomicBool,
    waits_for_visitor: AtomicBool,
}

/// The answer did not begin in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// The visitor did not go on with the request's body.
    Visitor,
    Origin,
}

impl Meter {
    pub(super) fn start() -> Self {
        Self {
            started: Instant::now(),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            upload_done: AtomicBool::new(false),
            upload_broke: AtomicBool::new(false),
            waits_for_visitor: AtomicBool::new(false),
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn up(&self) -> u64 {
        self.up.load(Relaxed)
    }

    pub(super) fn down(&self) -> u64 {
        self.down.load(Relaxed)
    }

    pub(super) fn add_up(&self, bytes: u64) {
        self.up.fetch_add(bytes, Relaxed);
        self.waits_for_visitor.store(false, Relaxed);
        self.touch();
    }

    pub(super) fn add_down(&self, bytes: u64) {
        self.down.fetch_add(bytes, Relaxed);
    }

    pub(super) fn upload_waits(&self) {
        self.waits_for_visitor.store(true, Relaxed);
    }

    pub(super) fn upload_done(&self) {
        self.upload_done.store(true, Relaxed);
        self.touch();
    }

    /// The request's body could not be read to its end.
    pub(super) fn upload_failed(&self) {
        self.upload_broke.store(true, Relaxed);
    }

    pub(super) fn upload_broke(&self) -> bool {
        self.upload_broke.load(Relaxed)
    }

    /// Waits for the head of the answer. The time starts anew whenever the request's body moves: a slow upload is not
    /// a slow origin.
    pub(super) async fn within<F: Future>(
        &self,
        limit: Duration,
        answer: F,
    ) -> Result<F::Output, Late> {
        let mut answer = std::pin::pin!(answer);
        loop {
            let deadline = self.last_moved() + limit;
            tokio::select! {
                biased;
                output = &mut answer => return Ok(output),
                () = sleep_until(deadline) => {
                    if self.last_moved() + limit <= deadline {
                        return Err(self.culprit());
                    }
                }
            }
        }
    }

    fn touch(&self) {
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.moved.store(micros, Relaxed);
    }

    fn last_moved(&self) -> Instant {
        self.started + Duration::from_micros(self.moved.load(Relaxed))
    }

    fn culprit(&self) -> Late {
        if !self.upload_done.load(Relaxed) && self.waits_for_visitor.load(Relaxed) {
            Late::Visitor
        } else {
            Late::Origin
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_silent_origin_is_late() {
        let meter = Meter::start();
        meter.upload_done();
        let late = meter.within(LIMIT, std::future::pending::<()>()).await;
        assert_eq!(late, Err(Late::Origin));
        assert_eq!(meter.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_moves_holds_the_deadline_off() {
        let meter = Meter::start();
        let upload = async {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_secs(9)).await;
                meter.add_up(1);
            }
            meter.upload_waits();
            std::future::pending::<()>().await;
        };
        let late = meter.within(LIMIT, upload).await;
        assert_eq!(late, Err(Late::Visitor));
        assert_eq!(meter.elapsed().as_secs(), 55);
    }
}
