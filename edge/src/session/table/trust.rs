//! What is taken away: revocations, and endpoints that were released or claimed by somebody else.

use std::sync::Arc;

use model::{Endpoint, EndpointName, Grant, HostPattern, Revocation, RevocationFact};
use token::{Claims, Revocations};
use tunnel::{
    Code,
    message::{EdgeMessage, ErrorMessage},
};

use super::{Members, Sessions};
use crate::{
    route::Facts,
    session::{
        bound::{Bound, Holding},
        handle::SessionHandle,
    },
};

const NOT_OWNED: &str = "it no longer belongs to the token's account";

impl Sessions {
    /// Cuts the sessions that the fact is about, or takes the endpoint of a claim from its session.
    pub(crate) fn revoked(&self, fact: &RevocationFact) {
        if let Revocation::Claim(claim) = &fact.revoked {
            self.take_away(Code::Revoked, "its claim was revoked", None, |bound| {
                bound.claim == *claim && bound.session.claims().issued <= fact.at
            });
            return;
        }
        let mut revocations = Revocations::default();
        revocations.insert(fact.clone());
        for session in self.read().all() {
            cut_if_revoked(session, &revocations);
        }
    }

    /// Takes the endpoint from sessions that hold it under another claim than that of `now`.
    pub(crate) fn endpoint_changed(&self, name: &EndpointName, now: Option<&Endpoint>) {
        let is_lost = |bound: &Bound| {
            let touched = bound.name == *name || bound.granted_as == *name;
            touched
                && match now {
                    Some(endpoint) => bound.claim != endpoint.claim,
                    None => bound.granted_as == *name,
                }
        };
        // Only a wildcard's claim is used for other names than its own, and looking at all takes its time.
        let scope = match name {
            EndpointName::Host(HostPattern::Wildcard(_)) => None,
            EndpointName::Host(HostPattern::Exact(_)) | EndpointName::Port(_) => Some(name),
        };
        self.take_away(Code::Forbidden, NOT_OWNED, scope, is_lost);
    }

    /// After the facts were read anew.
    pub(crate) fn recheck(&self, facts: &Facts) {
        for session in self.read().all() {
            cut_if_revoked(session, &facts.revocations);
        }
        self.take_away(Code::Forbidden, NOT_OWNED, None, |bound| {
            let decides = facts
                .endpoint(&bound.name)
                .or_else(|| facts.endpoint(&bound.granted_as));
            decides.is_none_or(|endpoint| endpoint.claim != bound.claim)
        });
    }

    /// Takes what `is_lost` says from its sessions, tells them, and cuts its streams. A session that has nothing left has
    /// no purpose any more.
    pub(crate) fn take_away(
        &self,
        code: Code,
        why: &str,
        scope: Option<&EndpointName>,
        is_lost: impl Fn(&Bound) -> bool,
    ) {
        let lost = self.lose(scope, is_lost);
        for (bound, is_last) in &lost {
            let reason = format!("{}: {why}", bound.name);
            bound.cut.cancel();
            let error = ErrorMessage::new(code, &reason).about(bound.id);
            bound.session.tell(EdgeMessage::Error(error));
            if *is_last {
                bound.session.end(code, reason);
            }
        }
        if !lost.is_empty() {
            self.changed(lost.into_iter().map(|(bound, _)| bound.session.id.clone()));
        }
    }

    /// Each lost endpoint, and whether it was the last of its session.
    fn lose(
        &self,
        scope: Option<&EndpointName>,
        is_lost: impl Fn(&Bound) -> bool,
    ) -> Vec<(Arc<Bound>, bool)> {
        let of_name = |members: &Members| match scope {
            Some(name) => lost_of(members.holders(name).iter(), &is_lost),
            None => lost_of(members.held(), &is_lost),
        };
        if of_name(&self.read()).is_empty() {
            return Vec::new();
        }
        let mut members = self.write();
        let lost = of_name(&members);
        for bound in &lost {
            members.release(&bound.session.id, bound.id);
        }
        let is_last = |bound: &Bound| members.bound_of(&bound.session.id).next().is_none();
        lost.into_iter()
            .map(|bound| (is_last(&bound), bound))
            .map(|(last, bound)| (bound, last))
            .collect()
    }
}

fn lost_of<'a>(
    holdings: impl Iterator<Item = &'a Holding>,
    is_lost: impl Fn(&Bound) -> bool,
) -> Vec<Arc<Bound>> {
    let lost = holdings.filter(|holding| is_lost(&holding.bound));
    lost.map(|holding| holding.bound.clone()).collect()
}

fn cut_if_revoked(session: &SessionHandle, revocations: &Revocations) {
    let bearer = Claims {
        grant: Grant::default(),
        ..Claims::clone(&session.claims())
    };
    if revocations.check(&bearer).is_err() {
        session.end(
            Code::Revoked,
            "the token, its grant or its account was revoked",
        );
    }
}
