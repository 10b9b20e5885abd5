//! What the tasks of one tunnel have in common.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tunnel::message::Bind;

use crate::{
    Event, Hint, Incoming, Issued, Phase, Status, TunnelError, builder::Settings, status::Counters,
};

/// Streams that wait for `accept`; beyond it they wait a moment in their own tasks and are then refused.
const BACKLOG: usize = 128;
/// Hints of one tunnel: four kinds for each of the binds that a session may have. Binds that come and go could give more.
const HINTS: usize = 400;
/// Events that a slow reader can still read.
pub const EVENTS_KEPT: usize = 256;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) incoming: mpsc::Sender<Incoming>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) status: watch::Sender<Status>,
    /// What the owner wants to be bound, in this session and in those that follow.
    pub(crate) wanted: watch::Sender<Arc<[Bind]>>,
    pub(crate) tasks: TaskTracker,
    /// Ends everything at once.
    pub(crate) cancel: CancellationToken,
    issued: Mutex<Option<(Issued, Arc<[Bind]>)>>,
    hinted: Mutex<Vec<(u32, Hint)>>,
}

impl Shared {
    pub(crate) fn new(
        settings: Arc<Settings>,
        binds: Vec<Bind>,
    ) -> (Arc<Self>, mpsc::Receiver<Incoming>) {
        let (incoming, accepting) = mpsc::channel(BACKLOG);
        let shared = Self {
            settings,
            counters: Arc::default(),
            incoming,
            events: broadcast::Sender::new(EVENTS_KEPT),
            status: watch::Sender::new(Status::default()),
            wanted: watch::Sender::new(binds.into()),
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
            issued: Mutex::default(),
            hinted: Mutex::default(),
        };
        (Arc::new(shared), accepting)
    }

    /// The last token, for the next session, unless `binds` has some that were not wanted yet when it was asked for.
    pub(crate) fn token(&self, binds: &[Bind]) -> Option<Issued> {
        let kept = lock(&self.issued);
        let (issued, asked_for) = kept.as_ref()?;
        let is_meant = |bind: &Bind| asked_for.iter().any(|known| known.id == bind.id);
        binds.iter().all(is_meant).then(|| issued.clone())
    }

    /// `asked_for` is what was wanted when the token was asked for.
    pub(crate) fn keep_token(&self, issued: Issued, asked_for: Arc<[Bind]>) {
        *lock(&self.issued) = Some((issued, asked_for));
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

    /// Tells a hint the first time that it is found at a bind.
    pub(crate) fn hint(&self, bind: u32, hint: Hint) {
        let mut hinted = lock(&self.hinted);
        if hinted.len() < HINTS && !hinted.contains(&(bind, hint)) {
            hinted.push((bind, hint));
            drop(hinted);
            self.tell(Event::Hint { bind, hint });
        }
    }

    pub(crate) fn wanted(&self) -> Arc<[Bind]> {
        Arc::clone(&self.wanted.borrow())
    }

    /// Nobody may be listening, which is fine.
    pub(crate) fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
