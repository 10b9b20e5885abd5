//! One session, as everything but its own task sees it: a way to open streams, to tell the agent something, and to end it.

use std::sync::Arc;

use model::{AgentId, SessionId, UnixTime};
use token::Claims;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::{Instant, timeout},
};
use tunnel::{
    Code, Secret, Stream, StreamHead, Transport, TransportError,
    datagram::Frames,
    limits::{FLOWS, STATUS_WITHIN, STREAMS},
    message::{EdgeMessage, Visit},
};

use super::origin_stream::{Opened, Slot};
use crate::{
    bounds::{OUTBOX, VISITS},
    http::OriginError,
    metrics::{Hit, Metrics},
};

#[derive(Debug)]
pub(crate) struct SessionHandle {
    pub(crate) id: SessionId,
    pub(crate) since: UnixTime,
    pub(crate) transport: Arc<dyn Transport>,
    claims: watch::Sender<Arc<Claims>>,
    resume: Secret,
    outbox: mpsc::Sender<Box<EdgeMessage>>,
    visits: Option<mpsc::Sender<Box<Visit>>>,
    /// Datagrams may go in frames of their own.
    pub(crate) datagrams: bool,
    end: watch::Sender<Option<End>>,
    streams: Arc<Semaphore>,
    /// Apart from the streams: datagrams come from whoever likes, and say no goodbye.
    flows: Arc<Semaphore>,
    stream_limit: u32,
    metrics: Metrics,
}

/// Why a session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) code: Code,
    pub(crate) reason: String,
}

/// What waits to be written to the agent. Boxed: a channel holds room for 32 even when nothing waits.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) messages: mpsc::Receiver<Box<EdgeMessage>>,
    pub(crate) visits: mpsc::Receiver<Box<Visit>>,
}

/// What a new session is made of.
#[derive(Debug)]
pub(crate) struct NewSession {
    pub(crate) id: SessionId,
    pub(crate) since: UnixTime,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) claims: Claims,
    pub(crate) resume: Secret,
    pub(crate) wants_visits: bool,
    pub(crate) datagrams: bool,
}

impl SessionHandle {
    pub(crate) fn new(new: NewSession, metrics: Metrics) -> (Arc<Self>, Outgoing) {
        let (outbox, messages) = mpsc::channel(OUTBOX);
        let (visit, visits) = mpsc::channel(VISITS);
        let stream_limit = new
            .claims
            .grant
            .limits
            .streams
            .unwrap_or(STREAMS)
            .min(STREAMS);
        let handle = Self {
            id: new.id,
            since: new.since,
            transport: new.transport,
            claims: watch::Sender::new(Arc::new(new.claims)),
            resume: new.resume,
            outbox,
            visits: new.wants_visits.then_some(visit),
            datagrams: new.datagrams,
            end: watch::Sender::default(),
            streams: Arc::new(Semaphore::new(stream_limit as usize)),
            flows: Arc::new(Semaphore::new(FLOWS as usize)),
            stream_limit,
            metrics,
        };
        (Arc::new(handle), Outgoing { messages, visits })
    }

    /// A stream to the agent, its head sent. The agent has [`STATUS_WITHIN`] from `Opened::since` on to say whether it takes it.
    pub(super) async fn open(&self, head: &StreamHead) -> Result<Opened, OriginError> {
        if self.is_over() {
            return Err(OriginError::Gone);
        }
        let (quota, bound) = match head.datagrams {
            true => (&self.flows, Hit::FlowsOfSession),
            false => (&self.streams, Hit::Streams),
        };
        let Ok(slot) = quota.clone().try_acquire_owned() else {
            self.metrics.hit(bound);
            return Err(OriginError::Limit);
        };
        let slot = Slot::new(slot, self.metrics.clone());
        let since = Instant::now();
        let opening = timeout(STATUS_WITHIN, self.open_stream(head)).await;
        let (stream, frames) = opening.unwrap_or_else(|_| {
            self.metrics.hit(Hit::StatusTime);
            Err(OriginError::Timeout)
        })?;
        self.metrics.streams_opened.inc();
        Ok(Opened {
            stream,
            frames,
            slot,
            since,
        })
    }

    async fn open_stream(
        &self,
        head: &StreamHead,
    ) -> Result<(Stream, Option<Frames>), OriginError> {
        let mut stream = self.transport.open().await.map_err(|error| match error {
            TransportError::Busy(_) => OriginError::Limit,
            _ => OriginError::Gone,
        })?;
        // Before the agent can know of the flow, and answer.
        let frames = head.datagrams.then(|| self.transport.frames(&stream));
        let sent = stream.send_head(&head.encode()).await;
        sent.map_err(|error| OriginError::of(&error))?;
        Ok((stream, frames.flatten()))
    }

    /// Tells the agent about a request, if it wants to know and keeps up.
    pub(crate) fn visit(&self, visit: Visit) {
        let Some(visits) = &self.visits else {
            return;
        };
        if let Err(mpsc::error::TrySendError::Full(_)) = visits.try_send(Box::new(visit.bounded()))
        {
            self.metrics.hit(Hit::VisitLines);
        }
    }

    /// Never waits: an agent that does not read what it asked for is cut.
    pub(crate) fn tell(&self, message: EdgeMessage) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.outbox.try_send(Box::new(message)) {
            self.metrics.hit(Hit::Outbox);
            self.end(Code::Protocol, "the agent does not read its control stream");
        }
    }

    /// The first end counts.
    pub(crate) fn end(&self, code: Code, reason: impl Into<String>) {
        self.end.send_if_modified(|end| {
            let first = end.is_none();
            if first {
                *end = Some(End {
                    code,
                    reason: reason.into(),
                });
            }
            first
        });
    }

    /// Waits for [`Self::end`].
    pub(crate) async fn ended(&self) -> End {
        let mut end = self.end.subscribe();
        let ended = end.wait_for(Option::is_some).await;
        let ended = ended.ok().and_then(|end| end.clone());
        match ended {
            Some(end) => end,
            // The sender is in `self`, and the wait was for it.
            None => std::future::pending().await,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Waits until no stream is open. Flows of datagrams have no end to wait for.
    pub(crate) async fn quiet(&self) {
        // The semaphore is never closed, so this cannot fail.
        let _ = self.streams.acquire_many(self.stream_limit).await;
    }

    pub(crate) fn claims(&self) -> Arc<Claims> {
        self.claims.borrow().clone()
    }

    pub(crate) fn renew(&self, claims: Claims) {
        self.claims.send_replace(Arc::new(claims));
    }

    pub(crate) fn renewals(&self) -> watch::Receiver<Arc<Claims>> {
        self.claims.subscribe()
    }

    /// The same for all tokens of one session.
    pub(crate) fn subject(&self) -> AgentId {
        self.claims.borrow().subject.clone()
    }

    /// Takes the same time whatever the secret is.
    pub(crate) fn is_resumed_by(&self, secret: &Secret) -> bool {
        self.resume == *secret
    }

    pub(crate) const fn resume(&self) -> &Secret {
        &self.resume
    }

    pub(crate) const fn stream_limit(&self) -> u32 {
        self.stream_limit
    }
}
