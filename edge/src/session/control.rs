//! The control stream of a session that was welcomed, and everything that may end it.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tunnel::{
    Code, TransportError,
    control::ControlError,
    message::{AgentMessage, Bind, EdgeMessage, ErrorMessage},
};

use super::{
    admit,
    handle::{End, Outgoing, SessionHandle},
    open::{Desk, Reader, Writer, now},
};
use crate::{bounds::REPLACED_LINGER, metrics::Hit};

/// The longest sleep until a session's end: a clock that is set is noticed after that.
const CLOCK_CHECK: Duration = Duration::from_secs(600);

/// Runs the session and says why it is over.
pub(super) async fn run(
    desk: &Desk,
    session: &Arc<SessionHandle>,
    reader: Reader,
    writer: Writer,
    outgoing: Outgoing,
) -> End {
    tokio::select! {
        biased;
        end = ended(desk, session) => end,
        end = expired(session) => end,
        error = session.transport.closed() => lost(&error),
        end = read(desk, session, reader) => end,
        end = write(writer, outgoing) => end,
    }
}

/// The end that a control stream's failure means.
pub(super) fn broken(error: &ControlError) -> End {
    let code = match error {
        ControlError::Line(_) | ControlError::Truncated => Code::Protocol,
        ControlError::Io(_) => Code::Idle,
    };
    End {
        code,
        reason: error.to_string(),
    }
}

/// A session that was replaced lets its streams finish: the agent may have moved to a better connection while this one
/// still works.
pub(super) async fn ended(desk: &Desk, session: &SessionHandle) -> End {
    let end = session.ended().await;
    if end.code == Code::Replaced {
        let quiet = tokio::time::timeout(REPLACED_LINGER, session.quiet()).await;
        if quiet.is_err() {
            desk.metrics.hit(Hit::ReplacedTime);
        }
    }
    end
}

pub(super) async fn expired(session: &SessionHandle) -> End {
    let mut renewals = session.renewals();
    loop {
        let left = renewals.borrow_and_update().session_expires.since(now());
        if left.is_zero() {
            return End {
                code: Code::Expired,
                reason: "the session's time is over".into(),
            };
        }
        tokio::select! {
            () = sleep(left.min(CLOCK_CHECK)) => {}
            // The sender lives as long as the session.
            _ = renewals.changed() => {}
        }
    }
}

fn lost(error: &TransportError) -> End {
    let code = match error {
        TransportError::Closed { code, .. } => *code,
        TransportError::TimedOut | TransportError::Lost(_) | TransportError::Busy(_) => Code::Idle,
        TransportError::ClosedHere => Code::Ok,
    };
    End {
        code,
        reason: error.to_string(),
    }
}

async fn write(mut writer: Writer, mut outgoing: Outgoing) -> End {
    loop {
        let message = tokio::select! {
            biased;
            Some(message) = outgoing.messages.recv() => *message,
            Some(visit) = outgoing.visits.recv() => EdgeMessage::Visit(*visit),
            // Both senders are in the session, which is there.
            else => return std::future::pending().await,
        };
        if let Err(error) = writer.send(&message).await {
            return broken(&error);
        }
    }
}

async fn read(desk: &Desk, session: &Arc<SessionHandle>, mut reader: Reader) -> End {
    loop {
        match reader.next().await {
            Ok(Some(message)) => {
                // Boxed: what a message needs is not kept from one to the next.
                if let Some(end) = Box::pin(answer(desk, session, message)).await {
                    return end;
                }
            }
            Ok(None) => {
                return End {
                    code: Code::Ok,
                    reason: "the agent ended the session".into(),
                };
            }
            Err(error) => {
                let end = broken(&error);
                session.tell(EdgeMessage::Error(ErrorMessage::new(end.code, &end.reason)));
                return end;
            }
        }
    }
}

async fn answer(desk: &Desk, session: &Arc<SessionHandle>, message: AgentMessage) -> Option<End> {
    match message {
        AgentMessage::Bind(bind) => session.tell(bound(desk, session, &bind).await),
        AgentMessage::Unbind { id } => session.tell(unbound(desk, session, id)),
        AgentMessage::Token { token } => super::refresh::refresh(desk, session, &token).await,
        AgentMessage::Drain | AgentMessage::Drained => desk.sessions.withdraw(&session.id),
        AgentMessage::Ping { n } => session.tell(EdgeMessage::Pong { n }),
        AgentMessage::Error(error) => {
            tracing::info!(session = %session.id, code = %error.code, message = %error.msg, "the agent reports an error");
        }
        // A proof that nobody asked for proves nothing.
        AgentMessage::Pong { .. } | AgentMessage::Proof { .. } | AgentMessage::Unknown => {}
        AgentMessage::Hello(_) => {
            return Some(End {
                code: Code::Protocol,
                reason: "hello is said once".into(),
            });
        }
    }
    None
}

async fn bound(desk: &Desk, session: &Arc<SessionHandle>, bind: &Bind) -> EdgeMessage {
    let claims = session.claims();
    let decided = desk.decide(true, |here| {
        let allowed = admit::bind(&claims, bind, here)?;
        desk.sessions.bind(session, allowed)
    });
    match decided {
        Ok(bound) => {
            desk.until_open(std::slice::from_ref(&bound)).await;
            EdgeMessage::Bound(desk.urls.bound(&bound))
        }
        Err(refusal) => EdgeMessage::Error(refusal.to_message()),
    }
}

fn unbound(desk: &Desk, session: &SessionHandle, id: u32) -> EdgeMessage {
    if desk.sessions.unbind(&session.id, id) {
        EdgeMessage::Unbound { id }
    } else {
        let error = ErrorMessage::new(Code::Protocol, "the session has no bind with that id");
        EdgeMessage::Error(error.about(id))
    }
}
