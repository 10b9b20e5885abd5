//! The session that carries the tunnels, while there is one.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use agent::{Agent, Connected, Event, Origins, Phase, Tunnel, TunnelError};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    task::JoinHandle,
};
use tunnel::message::Bind;

/// How long open streams may finish when the process stops or its provider changes.
const LEAVE: Duration = Duration::from_secs(10);

pub(super) struct Live {
    pub(super) tunnel: Arc<Tunnel>,
    /// The session, as it last began.
    pub(super) connected: Option<Arc<Connected>>,
    events: broadcast::Receiver<Event>,
    forwarding: JoinHandle<Result<(), TunnelError>>,
}

pub(super) enum Step {
    Event(Event),
    /// Some events were missed; this is the session that there is.
    Missed(Option<Arc<Connected>>),
    Ended(TunnelError),
}

impl Live {
    pub(super) fn begin(agent: &Agent, binds: Vec<Bind>, origins: &Arc<Origins>) -> Self {
        let tunnel = Arc::new(agent.bind(binds));
        let events = tunnel.events();
        let (carried, origins) = (Arc::clone(&tunnel), Arc::clone(origins));
        let forwarding = tokio::spawn(async move { agent::forward_each(&carried, &origins).await });
        Self {
            tunnel,
            connected: None,
            events,
            forwarding,
        }
    }

    /// The binds that the edge serves now.
    pub(super) fn served(&self) -> BTreeSet<u32> {
        let session = self.session();
        let bound = session.iter().flat_map(|connected| &connected.bound);
        bound.map(|bound| bound.id).collect()
    }

    /// Takes no new streams and lets the open ones finish.
    pub(super) async fn leave(self) {
        let _ = tokio::join!(self.tunnel.close_within(LEAVE), self.forwarding);
    }

    fn session(&self) -> Option<Arc<Connected>> {
        match &self.tunnel.status().borrow().phase {
            Phase::Online(connected) => Some(Arc::clone(connected)),
            _ => None,
        }
    }
}

/// What happens next to the session. May be dropped and called again.
pub(super) async fn next(live: &mut Option<Live>) -> Step {
    let Some(live) = live else {
        return std::future::pending().await;
    };
    tokio::select! {
        biased;
        event = live.events.recv() => match event {
            Ok(event) => Step::Event(event),
            Err(RecvError::Lagged(_)) => Step::Missed(live.session()),
            Err(RecvError::Closed) => Step::Ended(live.tunnel.ended().await),
        },
        ended = &mut live.forwarding => match ended {
            Ok(Err(error)) => Step::Ended(error),
            // Nobody but `leave` closes it, and then nobody asks any more.
            Ok(Ok(())) | Err(_) => Step::Ended(TunnelError::Closed),
        },
    }
}
