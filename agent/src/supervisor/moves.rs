//! The moves of a session: when one is due, and the one that is under way.

use futures_util::future::BoxFuture;
use tokio::{sync::watch, time::Instant};

use super::attempt::{Failure, Goal};
use crate::{
    policy::{backoff::Backoff, quic_return},
    session::{Notice, Opened, Session},
    shared::Shared,
};

/// A move of the session, planned or under way.
pub(super) struct Moves {
    quic_at: Option<Instant>,
    pub(super) notice: Option<Notice>,
    away_at: Option<Instant>,
    pub(super) running: Option<(Goal, BoxFuture<'static, Result<Opened, Failure>>)>,
    backoff: Backoff,
}

pub(super) enum Step {
    Due(Goal),
    Done(Result<Box<Opened>, Failure>),
}

impl Moves {
    pub(super) fn new(session: &Session, shared: &Shared) -> Self {
        Self {
            quic_at: quic_at(session, shared),
            notice: None,
            away_at: None,
            running: None,
            backoff: Backoff::default(),
        }
    }

    pub(super) fn noticed(&mut self, notice: &mut watch::Receiver<Option<Notice>>) {
        self.notice = notice.borrow_and_update().clone();
        self.away_at = self.notice.as_ref().map(|n| Instant::now() + n.after);
    }

    /// Waits for the move that is under way, or until one is due. May be dropped and called again.
    pub(super) async fn next(&mut self, session: &Session) -> Step {
        if self.running.is_some() {
            return Step::Done(self.finished().await.map(Box::new));
        }
        // An edge that drains is left first; the next one is tried over QUIC as well.
        match self.away_at.or(self.quic_at) {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
        let here = session.info().location.clone();
        Step::Due(match (&self.notice, self.away_at) {
            (Some(notice), Some(_)) => Goal::AwayFrom(here, notice.edges.clone()),
            _ => Goal::QuicAt(here),
        })
    }

    pub(super) async fn finished(&mut self) -> Result<Opened, Failure> {
        let Some((_, running)) = &mut self.running else {
            return std::future::pending().await;
        };
        let result = running.await;
        if result.is_ok() {
            self.running = None;
        }
        result
    }

    pub(super) fn failed(&mut self, failure: &Failure, session: &Session, shared: &Shared) {
        tracing::debug!(%failure, "the session stays where it is");
        match self.running.take() {
            Some((Goal::AwayFrom(..), _)) => {
                let now = Instant::now();
                let wait = self.backoff.down(now, failure.after(), rand::random());
                self.away_at = Some(now + wait);
            }
            _ => self.quic_at = quic_at(session, shared),
        }
    }
}

fn quic_at(session: &Session, shared: &Shared) -> Option<Instant> {
    let settings = &shared.settings;
    quic_return::next_try(
        settings.transport,
        session.info().transport,
        settings.quic_retry_every,
        Instant::now(),
        rand::random(),
    )
}
