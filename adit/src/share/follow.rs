//! Runs the agent and turns its events into output and an exit.

use std::{pin::pin, time::Duration};

use agent::{
    Connected, Event as AgentEvent, ForwardError, TokenSourceErrorKind, Tunnel, TunnelError,
};
use model::Kind;
use tokio::{
    sync::broadcast::error::RecvError,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use tunnel::{Code, message::Visit};

use super::{access::Granted, origin::Prepared};
use crate::{
    failure::{Exit, Failure},
    output::{self, Event, Numbers, Output, Ready},
};

/// How often byte counts and round trip are drawn anew: often enough to look alive.
const TICK: Duration = Duration::from_millis(500);
/// How long open streams may finish after Ctrl-C; a second Ctrl-C does not wait.
const LEAVE: Duration = Duration::from_secs(10);

pub(super) async fn follow(
    tunnel: &Tunnel,
    kind: Kind,
    prepared: &Prepared,
    granted: &Granted,
    output: &mut Output,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let mut events = tunnel.events();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut forwarding = pin!(agent::forward(tunnel, &prepared.target, &prepared.options));
    let ready =
        |connected: &Connected| Event::Ready(ready(connected, kind.as_str(), prepared, granted));
    loop {
        tokio::select! {
            ended = &mut forwarding => return result(ended, output),
            () = stop.cancelled() => break,
            _ = ticks.tick() => output.tick(numbers(tunnel)),
            event = events.recv() => match event {
                Ok(event) => if let Some(event) = shown(event, &ready) { output.show(&event); },
                // Missed events were visits: the counts stay right.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => {
                    let ended = forwarding.await;
                    return result(ended, output);
                }
            },
        }
    }
    // The streams that are open go on being forwarded while the tunnel leaves.
    let _ = tokio::join!(tunnel.close_within(LEAVE), &mut forwarding);
    output.show(&Event::Stopped {
        reason: "you asked for it".into(),
    });
    Ok(())
}

fn shown(event: AgentEvent, ready: &impl Fn(&Connected) -> Event) -> Option<Event> {
    match event {
        AgentEvent::Connecting {
            location,
            transport,
        } => Some(Event::Connecting {
            edge: location.to_string(),
            transport: transport.as_str().to_owned(),
        }),
        AgentEvent::Connected(connected) | AgentEvent::Migrated(connected) => {
            Some(ready(&connected))
        }
        AgentEvent::Refreshed(_) | AgentEvent::Bound(_) | AgentEvent::Unbound { .. } => None,
        AgentEvent::Disconnected {
            reason,
            code,
            retry_in,
        } => Some(Event::Disconnected {
            reason,
            code: code.map(|code| code as u8),
            retry_ms: millis(retry_in),
        }),
        AgentEvent::BindLost { reason, .. } => Some(Event::Hint { message: reason }),
        AgentEvent::Visit(visit) => Some(Event::Visit(from_edge(visit))),
        AgentEvent::Hint { hint, .. } => Some(Event::Hint {
            message: hint.to_string(),
        }),
        // The end is told by the forwarding that it ends.
        AgentEvent::Ended(_) => None,
    }
}

pub(crate) fn from_edge(visit: Visit) -> output::Visit {
    let Visit {
        method,
        path,
        status,
        ms,
        up,
        down,
        ..
    } = visit;
    output::Visit {
        method,
        path,
        status,
        ms,
        up,
        down,
    }
}

fn ready(connected: &Connected, kind: &str, prepared: &Prepared, granted: &Granted) -> Ready {
    Ready {
        kind: kind.to_owned(),
        name: granted.claimed.name.to_string(),
        urls: granted
            .claimed
            .clear_url()
            .into_iter()
            .chain(connected.urls().map(ToOwned::to_owned))
            .collect(),
        target: prepared.label.clone(),
        edge: connected.edge.clone(),
        session: connected.session.to_string(),
        transport: connected.transport.as_str().to_owned(),
        rtt_ms: connected.rtt.map(to_ms),
        why: connected.why.as_str().to_owned(),
    }
}

pub(crate) fn numbers(tunnel: &Tunnel) -> Numbers {
    let status = tunnel.status().borrow().clone();
    Numbers {
        rtt_ms: status.rtt.map(to_ms),
        bytes_in: status.received,
        bytes_out: status.sent,
        streams: status.streams,
    }
}

/// Milliseconds with two digits behind the point.
pub(crate) fn to_ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn result(ended: Result<(), ForwardError>, output: &mut Output) -> Result<(), Failure> {
    match ended {
        Ok(()) => {
            output.show(&Event::Stopped {
                reason: "the tunnel was closed".into(),
            });
            Ok(())
        }
        Err(ForwardError::Tunnel(error)) => Err(tunnel_failure(&error)),
        Err(error) => Err(Failure::new(Exit::Failed, error)),
    }
}

/// The one place where the end of a tunnel becomes an exit code.
pub(crate) fn tunnel_failure(error: &TunnelError) -> Failure {
    let exit = match error {
        TunnelError::Refused { code, .. } => match code {
            Code::Auth | Code::Expired | Code::Revoked => Exit::Credential,
            Code::Forbidden => Exit::Refused,
            Code::Conflict => Exit::InUse,
            Code::Replaced => Exit::Replaced,
            _ => Exit::Failed,
        },
        TunnelError::Token(token) => match token.kind {
            TokenSourceErrorKind::Fixed | TokenSourceErrorKind::Credential => Exit::Credential,
            TokenSourceErrorKind::Forbidden => Exit::Refused,
            TokenSourceErrorKind::Unavailable => Exit::Unreachable,
        },
        TunnelError::Closed => Exit::Failed,
    };
    Failure::new(exit, error)
}
