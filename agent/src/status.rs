//! How a tunnel stands, for a live display.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::Connected;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    pub phase: Phase,
    pub rtt: Option<Duration>,
    /// Streams open now, over all sessions of the tunnel.
    pub streams: u64,
    pub streams_total: u64,
    /// Streams that were turned away: the session's limit was reached, or nobody accepted them in time.
    pub streams_refused: u64,
    /// Bytes from visitors.
    pub received: u64,
    /// Bytes to visitors.
    pub sent: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Phase {
    #[default]
    Connecting,
    Online(Arc<Connected>),
    /// Between two attempts.
    Waiting,
    /// Takes no new streams; the old ones finish.
    Draining,
    Ended,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    received: AtomicU64,
    sent: AtomicU64,
    open: AtomicU64,
    total: AtomicU64,
    refused: AtomicU64,
}

/// One open stream; counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Arc<Counters>);

impl Counters {
    pub(crate) fn stream(self: &Arc<Self>) -> Counted {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(self))
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Writes the counts into `status`; true when something changed.
    pub(crate) fn show(&self, status: &mut Status, rtt: Option<Duration>) -> bool {
        let new = Status {
            phase: status.phase.clone(),
            rtt,
            streams: self.open.load(Ordering::Relaxed),
            streams_total: self.total.load(Ordering::Relaxed),
            streams_refused: self.refused.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
        };
        let changed = *status != new;
        *status = new;
        changed
    }
}

impl Counted {
    pub(crate) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.0)
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.0.received(bytes);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.0.sent(bytes);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
