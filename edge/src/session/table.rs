//! Who serves what at this edge: all sessions, and the endpoints that they hold.
//!
//! One lock, no waiting under it. The facts' lock may be held while this one is taken, never the other way round.

mod members;
mod trust;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use model::{ClaimId, EdgeId, EndpointName, PlacementFact, SessionId};
use tokio::sync::{Notify, watch};
use tunnel::{Code, Secret, limits::BINDS, message::EdgeMessage};

use self::members::Members;
use super::{
    admit::{Allowed, Refusal},
    bound::{Bound, Holding},
    handle::SessionHandle,
};
use crate::{
    bounds::SESSIONS_PER_SUBJECT,
    metrics::{Hit, Metrics},
    route::Claimed,
    usage::Ledger,
};

#[derive(Debug)]
pub(crate) struct Sessions {
    members: RwLock<Members>,
    /// Counts what was bound and given back, for those who wait for it.
    changes: watch::Sender<u64>,
    /// Sessions whose placement may have changed, for the task that writes placements.
    touched: Mutex<BTreeSet<SessionId>>,
    touch: Notify,
    turn: AtomicUsize,
    limit: usize,
    usage: Arc<Ledger>,
    metrics: Metrics,
}

/// What a hello got.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) bound: Vec<Arc<Bound>>,
    pub(crate) refused: Vec<Refusal>,
}

impl Sessions {
    pub(crate) fn new(limit: usize, metrics: Metrics) -> Self {
        Self {
            members: RwLock::default(),
            changes: watch::Sender::default(),
            touched: Mutex::default(),
            touch: Notify::new(),
            turn: AtomicUsize::new(0),
            limit,
            usage: Arc::new(Ledger::new(metrics.clone())),
            metrics,
        }
    }

    /// What the endpoints of all sessions carry.
    pub(crate) const fn usage(&self) -> &Arc<Ledger> {
        &self.usage
    }

    /// Takes a session in, with as many of its binds as can be had. One that asks for some and gets none is refused.
    pub(crate) fn open(
        &self,
        session: &Arc<SessionHandle>,
        wishes: Vec<Result<Allowed, Refusal>>,
        resume: Option<&Secret>,
    ) -> Result<Opened, Refusal> {
        let mut members = self.write();
        if let Some(old) = resume.and_then(|secret| members.resumed(session, secret)) {
            old.end(
                Code::Replaced,
                "the agent resumed this session on another connection",
            );
            members.withdraw(&old.id);
            self.changed([old.id.clone()]);
        }
        self.has_room(&members, session)?;
        let asked = !wishes.is_empty();
        let mut opened = Opened {
            bound: Vec::new(),
            refused: Vec::new(),
        };
        members.insert(session.clone());
        for wish in wishes {
            let held = wish.and_then(|allowed| self.hold(&mut members, session, allowed));
            match held {
                Ok(bound) => opened.bound.push(bound),
                Err(refusal) => opened.refused.push(refusal),
            }
        }
        if asked && opened.bound.is_empty() {
            members.remove(&session.id);
            if let Some(first) = opened.refused.into_iter().next() {
                return Err(Refusal {
                    bind: None,
                    ..first
                });
            }
            return Err(Refusal::new(Code::Internal, "nothing was bound"));
        }
        drop(members);
        self.changed([session.id.clone()]);
        Ok(opened)
    }

    pub(crate) fn bind(
        &self,
        session: &Arc<SessionHandle>,
        allowed: Allowed,
    ) -> Result<Arc<Bound>, Refusal> {
        let mut members = self.write();
        let bound = self.hold(&mut members, session, allowed)?;
        drop(members);
        self.changed([session.id.clone()]);
        Ok(bound)
    }

    /// Gives one endpoint back. Its streams may finish. False when there is no such bind.
    pub(crate) fn unbind(&self, session: &SessionId, id: u32) -> bool {
        let gone = self.write().release(session, id).is_some();
        self.changed([session.clone()]);
        gone
    }

    /// Gives all endpoints back. Streams may finish.
    pub(crate) fn withdraw(&self, session: &SessionId) {
        self.write().withdraw(session);
        self.changed([session.clone()]);
    }

    /// The session is over.
    pub(crate) fn close(&self, session: &SessionId) {
        self.write().remove(session);
        self.changed([session.clone()]);
    }

    /// Who serves `name` under the claim; one after the other where several do.
    pub(crate) fn find(&self, name: &EndpointName, claimed: &Claimed) -> Option<Holding> {
        let members = self.read();
        let alive = |holding: &&Holding| {
            let bound = &holding.bound;
            bound.claim == claimed.claim && bound.kind == claimed.kind && !bound.session.is_over()
        };
        let holders: Vec<_> = members.holders(name).iter().filter(alive).collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        holders
            .get(turn.checked_rem(holders.len())?)
            .map(|holding| (*holding).clone())
    }

    pub(crate) fn bound_of(&self, session: &SessionId) -> Vec<Arc<Bound>> {
        self.read()
            .bound_of(session)
            .map(|holding| holding.bound.clone())
            .collect()
    }

    /// Wakes whenever something was bound or given back.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn tell_all(&self, message: impl Fn() -> EdgeMessage) {
        let all: Vec<_> = self.read().all().cloned().collect();
        all.iter().for_each(|session| session.tell(message()));
    }

    pub(crate) fn end_all(&self, code: Code, reason: &str) {
        self.read()
            .all()
            .for_each(|session| session.end(code, reason));
    }

    pub(crate) fn count(&self) -> usize {
        self.read().len()
    }

    /// Whether some session serves something.
    pub(crate) fn any_bound(&self) -> bool {
        self.read().any_bound()
    }

    pub(crate) async fn touch(&self) {
        self.touch.notified().await;
    }

    /// The sessions whose placement may have changed since the last call.
    pub(crate) fn take_touched(&self) -> BTreeSet<SessionId> {
        std::mem::take(&mut *self.touched_set())
    }

    /// What the placement of a session should say; none when there should not be one.
    pub(crate) fn placement(&self, edge: &EdgeId, session: &SessionId) -> Option<PlacementFact> {
        let members = self.read();
        let handle = members.get(session)?;
        let claims: BTreeSet<ClaimId> = members
            .bound_of(session)
            .map(|holding| holding.bound.claim.clone())
            .collect();
        (!claims.is_empty()).then(|| PlacementFact {
            edge: edge.clone(),
            session: session.clone(),
            agent: handle.subject(),
            endpoints: claims.into_iter().collect(),
            transport: handle.transport.kind().as_str().into(),
            since: handle.since,
        })
    }

    fn has_room(&self, members: &Members, session: &SessionHandle) -> Result<(), Refusal> {
        if members.len() >= self.limit {
            self.metrics.hit(Hit::Sessions);
            return Err(Refusal::new(
                Code::Limit,
                "this edge holds as many sessions as it may",
            ));
        }
        let claims = session.claims();
        let allowed = claims
            .grant
            .limits
            .sessions
            .map_or(SESSIONS_PER_SUBJECT, |n| n as usize);
        if members.of_subject(&claims.subject) >= allowed.min(SESSIONS_PER_SUBJECT) {
            self.metrics.hit(Hit::SessionsOfSubject);
            return Err(Refusal::new(
                Code::Limit,
                "the agent has as many sessions here as it may",
            ));
        }
        Ok(())
    }

    fn hold(
        &self,
        members: &mut Members,
        session: &Arc<SessionHandle>,
        allowed: Allowed,
    ) -> Result<Arc<Bound>, Refusal> {
        let refuse = |code, message| Refusal {
            code,
            message,
            bind: Some(allowed.id),
        };
        if members.bound_of(&session.id).count() >= BINDS as usize {
            self.metrics.hit(Hit::Binds);
            return Err(refuse(
                Code::Limit,
                format!("a session has at most {BINDS} binds"),
            ));
        }
        if members.has_bind(&session.id, allowed.id) {
            let message = format!("the session has a bind with the id {} already", allowed.id);
            return Err(refuse(Code::Protocol, message));
        }
        if members.conflicts(&session.id, &allowed) {
            let message = format!("{} is held by another session", allowed.name);
            return Err(refuse(Code::Conflict, message));
        }
        let usage = self.usage.of(&allowed.claim, &allowed.account);
        let holding = Holding::new(allowed, session.clone(), usage);
        let bound = holding.bound.clone();
        members.hold(holding);
        Ok(bound)
    }

    fn changed(&self, sessions: impl IntoIterator<Item = SessionId>) {
        self.changes.send_modify(|count| *count += 1);
        self.touched_set().extend(sessions);
        self.touch.notify_one();
    }

    fn touched_set(&self) -> MutexGuard<'_, BTreeSet<SessionId>> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Every change is whole when something panics: the members do not call out.
    fn read(&self) -> RwLockReadGuard<'_, Members> {
        self.members.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Members> {
        self.members.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
