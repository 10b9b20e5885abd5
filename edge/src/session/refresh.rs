//! A new token in a session that is open: it may prolong the session and change what it may bind, never whose it is.

use std::sync::Arc;

use token::Claims;
use tunnel::{Code, Secret, message::EdgeMessage};

use super::{
    admit::{self, Refusal},
    bound::Bound,
    handle::SessionHandle,
    open::Desk,
};

pub(super) async fn refresh(desk: &Desk, session: &Arc<SessionHandle>, token: &Secret) {
    match accept(desk, session, token).await {
        Ok(()) => {
            let bound = desk.sessions.bound_of(&session.id);
            let welcome = desk.welcome(session, &bound);
            welcome.into_iter().for_each(|line| session.tell(line));
        }
        Err(refusal) => {
            desk.metrics.refused(refusal.code);
            session.tell(EdgeMessage::Error(refusal.to_message()));
        }
    }
}

async fn accept(desk: &Desk, session: &Arc<SessionHandle>, token: &Secret) -> Result<(), Refusal> {
    let (claims, fresh) = desk.read_token(token).await?;
    let old = session.claims();
    // The session has proved the key that its own token is bound to, and no other.
    if claims.confirmation != old.confirmation {
        admit::bearer(&claims)?;
    }
    if claims.subject != old.subject || claims.account != old.account {
        let message = "a session's token is refreshed with one of the same subject and account";
        return Err(Refusal::new(Code::Auth, message));
    }
    desk.decide(fresh, |here| {
        admit::session(&claims, here)?;
        session.renew(claims.clone());
        Ok(())
    })?;
    let id = &session.id;
    let not_granted = |bound: &Bound| bound.session.id == *id && !is_granted(&claims, bound);
    desk.sessions.take_away(
        Code::Forbidden,
        "the new token does not grant it",
        None,
        not_granted,
    );
    Ok(())
}

fn is_granted(claims: &Claims, bound: &Bound) -> bool {
    let granted = claims.grant.allows(&bound.name, bound.kind);
    granted.is_some_and(|granted| granted.claim == bound.claim)
}
