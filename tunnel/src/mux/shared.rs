//! The session between its handles and its driver: one lock, and the wake-ups that follow from what was done under it.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{session::Session, state::keep};

pub(super) struct Shared {
    inner: Mutex<Inner>,
    /// Streams of the peer have arrived.
    pub(super) arrivals: Notify,
    /// The session is over.
    pub(super) over: CancellationToken,
}

struct Inner {
    session: Session,
    driver: Option<Waker>,
    /// The driver writes and will look for more by itself.
    writing: bool,
}

impl Shared {
    pub(super) fn new(session: Session) -> Self {
        Self {
            inner: Mutex::new(Inner {
                session,
                driver: None,
                writing: false,
            }),
            arrivals: Notify::new(),
            over: CancellationToken::new(),
        }
    }

    /// Does something to the session and wakes whom it concerns.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Session) -> R) -> R {
        let mut inner = self.lock();
        let result = act(&mut inner.session);
        let woken = std::mem::take(&mut inner.session.woken);
        let over = inner.session.over().is_some();
        let wanted = over || (inner.session.has_output() && !inner.writing);
        let driver = inner.driver.take_if(|_| wanted);
        drop(inner);
        driver.into_iter().chain(woken).for_each(Waker::wake);
        if over {
            self.end();
        }
        result
    }

    /// The same for the driver, which is awake: `woken` is its list of wake-ups, to be used again.
    pub(super) fn drive<R>(
        &self,
        woken: &mut Vec<Waker>,
        act: impl FnOnce(&mut Session) -> R,
    ) -> R {
        let mut inner = self.lock();
        let result = act(&mut inner.session);
        let session = &mut inner.session;
        std::mem::swap(woken, &mut session.woken);
        let (news, over) = (session.take_news(), session.over().is_some());
        drop(inner);
        woken.drain(..).for_each(Waker::wake);
        (0..news).for_each(|_| self.arrivals.notify_one());
        if over {
            self.end();
        }
        result
    }

    /// Gives the driver the next buffer to write, in exchange for an empty one, or wakes it when there is one.
    pub(super) fn refill(
        &self,
        empty: &mut Vec<u8>,
        woken: &mut Vec<Waker>,
        driver: &Waker,
    ) -> bool {
        let mut inner = self.lock();
        let any = inner.session.take_output(empty);
        inner.writing = any;
        keep(&mut inner.driver, driver);
        let owes_turns = !any && inner.session.owes_turns();
        std::mem::swap(woken, &mut inner.session.woken);
        drop(inner);
        woken.drain(..).for_each(Waker::wake);
        if owes_turns {
            // Those who had a turn get the chance to use it before the next ones do.
            driver.wake_by_ref();
        }
        any
    }

    /// Wakes the driver, which is busy writing, when the session ends.
    pub(super) fn park(&self, driver: &Waker) {
        keep(&mut self.lock().driver, driver);
    }

    fn end(&self) {
        if !self.over.is_cancelled() {
            self.over.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A task that panicked in here harms its own stream, not the session.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        f.debug_struct("Session")
            .field("role", &inner.session.role)
            .field("over", &inner.session.over())
            .field("stats", &inner.session.stats())
            .finish()
    }
}
