//! The data of the table, and the rules of who may hold what beside whom.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use model::{AgentId, EndpointName, SessionId, Sharing};
use tunnel::Secret;

use super::super::{admit::Allowed, bound::Holding, handle::SessionHandle};

#[derive(Debug, Default)]
pub(super) struct Members {
    sessions: HashMap<SessionId, Member>,
    by_subject: HashMap<AgentId, HashSet<SessionId>>,
    held: HashMap<EndpointName, Vec<Holding>>,
}

#[derive(Debug)]
struct Member {
    handle: Arc<SessionHandle>,
    bound: BTreeMap<u32, Holding>,
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn get(&self, session: &SessionId) -> Option<&Arc<SessionHandle>> {
        self.sessions.get(session).map(|member| &member.handle)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<SessionHandle>> {
        self.sessions.values().map(|member| &member.handle)
    }

    /// The sessions of a subject, but for those that are only waiting to be forgotten.
    pub(super) fn of_subject(&self, subject: &AgentId) -> usize {
        let ids = self.by_subject.get(subject);
        let sessions = ids.into_iter().flatten().filter_map(|id| self.get(id));
        sessions.filter(|session| !session.is_over()).count()
    }

    /// The session of the same subject that `secret` was given to. Every one of them is compared.
    pub(super) fn resumed(
        &self,
        by: &SessionHandle,
        secret: &Secret,
    ) -> Option<Arc<SessionHandle>> {
        let claims = by.claims();
        let ids = self.by_subject.get(&claims.subject)?;
        let of_account = |session: &&Arc<SessionHandle>| session.claims().account == claims.account;
        let sessions = ids.iter().filter_map(|id| self.get(id)).filter(of_account);
        sessions
            .filter(|session| session.is_resumed_by(secret))
            .last()
            .cloned()
    }

    pub(super) fn insert(&mut self, handle: Arc<SessionHandle>) {
        let ids = self.by_subject.entry(handle.subject()).or_default();
        ids.insert(handle.id.clone());
        let member = Member {
            handle: handle.clone(),
            bound: BTreeMap::new(),
        };
        self.sessions.insert(handle.id.clone(), member);
    }

    pub(super) fn remove(&mut self, session: &SessionId) {
        self.withdraw(session);
        let Some(member) = self.sessions.remove(session) else {
            return;
        };
        let subject = member.handle.subject();
        if let Some(ids) = self.by_subject.get_mut(&subject) {
            ids.remove(session);
            if ids.is_empty() {
                self.by_subject.remove(&subject);
            }
        }
    }

    pub(super) fn holders(&self, name: &EndpointName) -> &[Holding] {
        self.held.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn held(&self) -> impl Iterator<Item = &Holding> {
        self.held.values().flatten()
    }

    pub(super) fn bound_of(&self, session: &SessionId) -> impl Iterator<Item = &Holding> {
        self.sessions
            .get(session)
            .into_iter()
            .flat_map(|member| member.bound.values())
    }

    pub(super) fn has_bind(&self, session: &SessionId, id: u32) -> bool {
        self.sessions
            .get(session)
            .is_some_and(|member| member.bound.contains_key(&id))
    }

    pub(super) fn any_bound(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether some session, possibly the same one, holds the name in a way that leaves no room for another. Holders of a
    /// claim that has gone, or that are over, are only waiting to be forgotten.
    pub(super) fn conflicts(&self, session: &SessionId, wanted: &Allowed) -> bool {
        self.holders(&wanted.name)
            .iter()
            .map(|holding| &holding.bound)
            .any(|bound| {
                let alive = bound.claim == wanted.claim && !bound.session.is_over();
                alive && (wanted.sharing == Sharing::Exclusive || bound.session.id == *session)
            })
    }

    pub(super) fn hold(&mut self, holding: Holding) {
        let bound = &holding.bound;
        if let Some(member) = self.sessions.get_mut(&bound.session.id) {
            member.bound.insert(bound.id, holding.clone());
            self.held
                .entry(bound.name.clone())
                .or_default()
                .push(holding);
        }
    }

    pub(super) fn release(&mut self, session: &SessionId, id: u32) -> Option<Holding> {
        let holding = self.sessions.get_mut(session)?.bound.remove(&id)?;
        self.forget(&holding);
        Some(holding)
    }

    pub(super) fn withdraw(&mut self, session: &SessionId) {
        let Some(member) = self.sessions.get_mut(session) else {
            return;
        };
        for holding in std::mem::take(&mut member.bound).into_values() {
            self.forget(&holding);
        }
    }

    fn forget(&mut self, holding: &Holding) {
        let name = &holding.bound.name;
        if let Some(holders) = self.held.get_mut(name) {
            holders.retain(|other| !Arc::ptr_eq(&other.bound, &holding.bound));
            if holders.is_empty() {
                self.held.remove(name);
            }
        }
    }
}
