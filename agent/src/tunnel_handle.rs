//! A tunnel in the hands of its owner.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Mutex as AsyncMutex, broadcast, mpsc, watch};
use tunnel::message::Bind;

use crate::{
    Event, Incoming, Status, TunnelError, builder::Settings, shared::Shared, supervisor::Supervisor,
};

/// How long [`Tunnel::close`] lets open streams finish.
const CLOSE_DEADLINE: Duration = Duration::from_secs(10);

/// Endpoints that are bound as long as this lives. Dropping it cuts every stream; [`Tunnel::close`] lets them finish.
#[derive(Debug)]
pub struct Tunnel {
    shared: Arc<Shared>,
    incoming: AsyncMutex<mpsc::Receiver<Incoming>>,
    /// Subscribed before the first event; the first who asks gets it.
    events: Mutex<Option<broadcast::Receiver<Event>>>,
    closing: watch::Sender<Option<Duration>>,
    end: watch::Receiver<Option<TunnelError>>,
}

impl Tunnel {
    pub(crate) fn start(settings: Arc<Settings>, binds: Vec<Bind>) -> Self {
        let (shared, incoming) = Shared::new(settings, binds);
        let events = Mutex::new(Some(shared.events.subscribe()));
        let (closing, closing_out) = watch::channel(None);
        let (end_in, end) = watch::channel(None);
        let supervisor = Supervisor::new(Arc::clone(&shared), closing_out);
        shared.tasks.spawn({
            let shared = Arc::clone(&shared);
            async move {
                let cancel = shared.cancel.clone();
                let ended = cancel.run_until_cancelled(supervisor.run()).await;
                shared.finish(ended.unwrap_or(TunnelError::Closed), &end_in);
            }
        });
        Self {
            shared,
            incoming: AsyncMutex::new(incoming),
            events,
            closing,
            end,
        }
    }

    /// The next stream of a visitor. Fails when the tunnel is over: [`TunnelError::Closed`] after [`Tunnel::close`].
    pub async fn accept(&self) -> Result<Incoming, TunnelError> {
        let mut incoming = self.incoming.lock().await;
        tokio::select! {
            biased;
            Some(stream) = incoming.recv() => Ok(stream),
            error = self.ended() => Err(error),
        }
    }

    /// Holds these binds from now on, in the session that is open: what is new is bound, what is missing is given back, and
    /// what stays is not touched. An id names one bind for ever, so a bind that changes gets a new one. For tunnels that were
    /// begun with a list; a list that becomes empty is for [`Tunnel::close`].
    ///
    /// A fresh token is asked for before anything is bound, as the last one may not grant it.
    pub fn want(&self, binds: Vec<Bind>) {
        self.shared.wanted.send_if_modified(|wanted| {
            let changed = **wanted != *binds;
            if changed {
                *wanted = binds.into();
            }
            changed
        });
    }

    /// Waits for the end of the tunnel and tells why.
    pub async fn ended(&self) -> TunnelError {
        let mut end = self.end.clone();
        match end.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(error)) => error.clone(),
            _ => TunnelError::Closed,
        }
    }

    pub fn status(&self) -> watch::Receiver<Status> {
        self.shared.status.subscribe()
    }

    /// Events from now on; for the first caller, from the beginning.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        let mut first = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        first
            .take()
            .unwrap_or_else(|| self.shared.events.subscribe())
    }

    /// Takes no new streams, lets the open ones finish for a while, and ends the session. Streams must still be served
    /// meanwhile.
    pub async fn close(&self) {
        self.close_within(CLOSE_DEADLINE).await;
    }

    pub async fn close_within(&self, deadline: Duration) {
        self.closing.send_replace(Some(deadline));
        self.ended().await;
        self.shared.cancel.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.shared.cancel.cancel();
    }
}
