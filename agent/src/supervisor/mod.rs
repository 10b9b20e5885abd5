//! Keeps a tunnel up: connects, holds a session, moves it, comes back when it is lost.
//!
//! A session moves make-before-break. The new one says hello with the old one's resume secret, so that the edge knows
//! one agent and not two that want one name, and from its welcome on visitors come to it. The old one is then told
//! goodbye and kept until its open streams are done, so that no visitor notices. That the edge ends a session which is
//! being replaced, or says that it was, means nothing.

mod attempt;
mod keeper;
mod moves;

use std::{sync::Arc, time::Duration};

use attempt::{Attempt, Failure, Goal, UdpMemory};
use futures_util::FutureExt;
use keeper::Keeper;
use moves::{Moves, Step};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::task::TaskTracker;
use tunnel::{Code, message::ErrorMessage};

use crate::{
    Event, Phase, TokenSourceErrorKind, TunnelError,
    policy::{
        backoff::Backoff,
        verdict::{self, Verdict},
    },
    session::{Ended, Farewell, Opened, Session},
    shared::Shared,
};

/// How often the counts of a live status are renewed.
const TICK: Duration = Duration::from_millis(500);
/// How long the streams of a session that was moved may go on. A download that takes longer is cut.
const OLD_SESSION: Duration = Duration::from_secs(3600);

pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    closing: watch::Receiver<Option<Duration>>,
    backoff: Backoff,
    keeper: Keeper,
    udp: UdpMemory,
    /// What the edge said when it refused the last token.
    token_refusal: Option<ErrorMessage>,
    /// Sessions that were moved and finish their streams.
    leaving: TaskTracker,
}

impl Supervisor {
    pub(crate) fn new(shared: Arc<Shared>, closing: watch::Receiver<Option<Duration>>) -> Self {
        Self {
            shared,
            closing,
            backoff: Backoff::default(),
            keeper: Keeper::default(),
            udp: UdpMemory::default(),
            token_refusal: None,
            leaving: TaskTracker::new(),
        }
    }

    pub(crate) async fn run(mut self) -> TunnelError {
        loop {
            let session = match self.connect().await {
                Ok(session) => session,
                Err(end) => return end,
            };
            // The session is gone, and its streams with it, before the next one is waited for.
            let failure = match self.hold(session).await {
                Ok(failure) => failure,
                Err(end) => return end,
            };
            if let Err(end) = self.pause(failure).await {
                return end;
            }
        }
    }

    async fn connect(&mut self) -> Result<Session, TunnelError> {
        loop {
            self.shared.phase(Phase::Connecting);
            self.keeper
                .open(&self.shared.settings, &self.shared.wanted());
            let attempt = self.attempt(Goal::Any).run();
            let failure = tokio::select! {
                _ = closing(self.closing.clone()) => return Err(TunnelError::Closed),
                result = attempt => match result {
                    Ok(opened) => {
                        let session = self.started(opened);
                        self.shared.tell(Event::Connected(session.info()));
                        return Ok(session);
                    }
                    Err(failure) => failure,
                },
            };
            self.pause(failure).await?;
        }
    }

    fn attempt(&self, goal: Goal) -> Attempt {
        Attempt {
            shared: Arc::clone(&self.shared),
            binds: self.shared.wanted(),
            resume: self.keeper.secret(),
            udp: self.udp.clone(),
            choice: self.shared.settings.transport,
            token_refused: self.token_refusal.is_some(),
            goal,
        }
    }

    fn started(&mut self, opened: Opened) -> Session {
        let now = Instant::now();
        self.udp
            .learn(&opened.connected.location, opened.udp_blocked, now);
        self.backoff.up(now);
        self.token_refusal = None;
        let session = Session::start(opened, &self.shared);
        self.keeper.keep(session.resume.borrow().clone());
        self.shared.phase(Phase::Online(session.info()));
        session
    }

    /// Ends the tunnel or waits for the next attempt.
    async fn pause(&mut self, failure: Failure) -> Result<(), TunnelError> {
        self.judge(&failure)?;
        let wait = self
            .backoff
            .down(Instant::now(), failure.after(), rand::random());
        self.shared.phase(Phase::Waiting);
        self.shared.tell(Event::Disconnected {
            reason: failure.to_string(),
            code: failure.code(),
            retry_in: wait,
        });
        tokio::select! {
            _ = closing(self.closing.clone()) => Err(TunnelError::Closed),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    /// Fails when there is no use in trying again.
    fn judge(&mut self, failure: &Failure) -> Result<(), TunnelError> {
        match failure {
            Failure::Unreachable(_) => Ok(()),
            Failure::Token(error) => match (&self.token_refusal, error.kind) {
                // Without another token, what the edge said of this one is the reason.
                (Some(refusal), TokenSourceErrorKind::Fixed) => Err(refused(refusal)),
                _ if error.is_fatal() => Err(TunnelError::Token(error.clone())),
                _ => Ok(()),
            },
            Failure::Refused(error) => match verdict::of(error.code) {
                Verdict::GiveUp => Err(refused(error)),
                Verdict::Retry => Ok(()),
                Verdict::NewToken => {
                    self.token_refusal = Some(error.clone());
                    Ok(())
                }
            },
        }
    }

    /// Holds the session, and those that it moves to, until the last one is lost.
    async fn hold(&mut self, mut session: Session) -> Result<Failure, TunnelError> {
        let mut moves = Moves::new(&session, &self.shared);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let (mut notice, mut resume) = (session.notice.clone(), session.resume.clone());
            let mut connected = session.connected.clone();
            tokio::select! {
                deadline = closing(self.closing.clone()) => {
                    return Err(self.close(session, deadline).await);
                }
                end = session.ended() => match successor(end, &mut moves).await {
                    Ok(opened) => session = self.moved(session, opened, &mut moves),
                    Err(failure) => return Ok(failure),
                },
                step = moves.next(&session) => match step {
                    Step::Due(goal) => {
                        moves.running = Some((goal.clone(), self.attempt(goal).run().boxed()));
                    }
                    Step::Done(Ok(opened)) => session = self.moved(session, *opened, &mut moves),
                    Step::Done(Err(failure)) => moves.failed(&failure, &session, &self.shared),
                },
                Ok(()) = changed(&mut notice) => moves.noticed(&mut session.notice),
                Ok(()) = changed(&mut resume) => {
                    self.keeper.keep(session.resume.borrow_and_update().clone());
                }
                Ok(()) = changed(&mut connected) => {
                    session.connected.mark_unchanged();
                    self.shared.phase(Phase::Online(session.info()));
                }
                _ = ticks.tick() => self.shared.count(session.transport.rtt()),
            }
        }
    }

    fn moved(&mut self, old: Session, opened: Opened, moves: &mut Moves) -> Session {
        let drained = moves.notice.take();
        let new = self.started(opened);
        self.shared.tell(Event::Migrated(new.info()));
        let (farewell, deadline) = match drained {
            Some(notice) => (Farewell::Drained, notice.deadline),
            None => (Farewell::Drain, OLD_SESSION),
        };
        let leaving = self.leaving.track_future(old.leave(farewell, deadline));
        let cancel = self.shared.cancel.clone();
        self.shared.tasks.spawn(async move {
            let _ = cancel.run_until_cancelled(leaving).await;
        });
        *moves = Moves::new(&new, &self.shared);
        new
    }

    async fn close(&mut self, session: Session, deadline: Duration) -> TunnelError {
        self.shared.phase(Phase::Draining);
        self.leaving.close();
        let leaving = async {
            tokio::join!(
                session.leave(Farewell::Drain, deadline),
                self.leaving.wait()
            );
        };
        if tokio::time::timeout(deadline, leaving).await.is_err() {
            tracing::info!("streams of older sessions are cut: the deadline has come");
        }
        self.keeper.forget();
        TunnelError::Closed
    }
}

/// A session is over. If it was about to be replaced, what became of that decides.
async fn successor(end: Ended, moves: &mut Moves) -> Result<Opened, Failure> {
    let moving = moves.running.is_some();
    if moving && let Ok(opened) = moves.finished().await {
        return Ok(opened);
    }
    Err(match end {
        // By ourselves, and the welcome was lost on its way.
        Ended::Refused(error) if moving && error.code == Code::Replaced => {
            Failure::Unreachable("the session was lost while it moved".into())
        }
        Ended::Refused(error) => Failure::Refused(error),
        Ended::Lost(reason) => Failure::Unreachable(reason),
    })
}

fn refused(error: &ErrorMessage) -> TunnelError {
    TunnelError::Refused {
        code: error.code,
        message: error.msg.clone(),
    }
}

/// Waits until the owner closes the tunnel, and tells how long streams may go on.
async fn closing(mut closing: watch::Receiver<Option<Duration>>) -> Duration {
    let deadline = closing
        .wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|d| *d);
    match deadline {
        Some(deadline) => deadline,
        // The owner is gone, and with it every stream.
        None => std::future::pending().await,
    }
}

async fn changed<T>(receiver: &mut watch::Receiver<T>) -> Result<(), watch::error::RecvError> {
    receiver.changed().await
}
