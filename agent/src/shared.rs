//! What the tasks of one tunnel have in common.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Event, Hint, Incoming, Issued, Phase, Status, TunnelError, builder::Settings, status::Counters,
};

/// Streams that wait for `accept`; beyond it they wait a moment in their own tasks and are then refused.
const BACKLOG: usize = 128;
/// Events that a slow reader can still read.
pub const EVENTS_KEPT: usize = 256;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) incoming: mpsc::Sender<Incoming>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) tasks: TaskTracker,
    /// Ends everything at once.
    pub(crate) cancel: CancellationToken,
    issued: Mutex<Option<Issued>>,
    hinted: Mutex<Vec<Hint>>,
}

impl Shared {
    pub(crate) fn new(settings: Arc<Settings>) -> (Arc<Self>, mpsc::Receiver<Incoming>) {
        let (incoming, accepting) = mpsc::channel(BACKLOG);
        let shared = Self {
            settings,
            counters: Arc::default(),
            incoming,
            events: broadcast::Sender::new(EVENTS_KEPT),
            status: watch::Sender::new(Status::default()),
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
            issued: Mutex::default(),
            hinted: Mutex::default(),
        };
        (Arc::new(shared), accepting)
    }

    /// The last token, for the next session.
    pub(crate) fn token(&self) -> Option<Issued> {
        lock(&self.issued).clone()
    }

    pub(crate) fn keep_token(&self, issued: Issued) {
        *lock(&self.issued) = Some(issued);
    }

    pub(crate) fn phase(&self, phase: Phase) {
        self.status.send_modify(|status| status.phase = phase);
    }

    /// Brings the counts of the status up to date.
    pub(crate) fn count(&self, rtt: Option<Duration>) {
        self.status
            .send_if_modified(|status| self.counters.show(status, rtt));
    }

    /// The last words of a tunnel.
    pub(crate) fn finish(&self, error: TunnelError, end: &watch::Sender<Option<TunnelError>>) {
        self.count(None);
        self.phase(Phase::Ended);
        self.tell(Event::Ended(error.clone()));
        end.send_replace(Some(error));
        self.cancel.cancel();
    }

    /// Tells a hint the first time that it is found.
    pub(crate) fn hint(&self, hint: Hint) {
        let mut hinted = lock(&self.hinted);
        if !hinted.contains(&hint) {
            hinted.push(hint);
            drop(hinted);
            self.tell(Event::Hint(hint));
        }
    }

    /// Nobody may be listening, which is fine.
    pub(crate) fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
