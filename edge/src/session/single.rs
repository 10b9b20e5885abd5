//! The binding without a mux: an agent's request waits for a visitor and becomes his connection. A session is what all
//! requests with one token and one bind share, and it outlasts the pauses between them.

mod transport;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use model::{Revision, SessionId};
use token::Claims;
use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;
use tunnel::{
    Code, Secret, Transport, TransportKind,
    message::{Bind, EdgeMessage},
    single::{Ask, BIND, TOKEN},
    upgrade,
};

use self::transport::SingleTransport;
use super::{
    admit::{self, Refusal},
    bound::Bound,
    control,
    handle::{End, NewSession, Outgoing, SessionHandle},
    open::{Desk, now},
};
use crate::{
    bounds::{POLL, POLL_LINGER},
    listen::VisitorSlot,
    metrics::Hit,
};

/// The sessions of this binding.
#[derive(Debug)]
pub(crate) struct Singles {
    desk: Arc<Desk>,
    live: Mutex<HashMap<Key, Live>>,
    tasks: TaskTracker,
    cut: CancellationToken,
}

/// Which session a request belongs to. What it says in its headers, with the token hashed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    token: [u8; 32],
    bind: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Live {
    session: Arc<SessionHandle>,
    transport: Arc<SingleTransport>,
}

/// What a request says.
struct Asked {
    key: Key,
    token: Secret,
    bind: Option<Bind>,
}

/// A session that this request has opened.
struct New {
    key: Key,
    outgoing: Outgoing,
    bound: Vec<Arc<Bound>>,
}

impl Singles {
    pub(crate) fn new(desk: Arc<Desk>, tasks: TaskTracker, cut: CancellationToken) -> Self {
        Self {
            desk,
            live: Mutex::default(),
            tasks,
            cut,
        }
    }

    /// Answers one request: 101 when a visitor has come for it, 204 when none has for a while, else why not. `known` is
    /// called once the token is believed.
    pub(crate) async fn poll(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
        slot: Arc<VisitorSlot>,
        known: impl FnOnce(),
    ) -> Response<Full<Bytes>> {
        let live = match self.session(request.headers(), peer).await {
            Ok(live) => live,
            Err(refusal) => return self.refuse(&refusal),
        };
        known();
        let upgrade = hyper::upgrade::on(request);
        let Some(mut place) = live.transport.wait(upgrade, slot) else {
            self.desk.metrics.hit(Hit::WaitingPolls);
            let message = "as many requests of this agent wait as may";
            return self.refuse(&Refusal::new(Code::Limit, message));
        };
        let end = tokio::select! {
            biased;
            () = place.visited() => return upgrade::switch_to(TOKEN),
            end = live.session.ended() => Some(end),
            () = self.desk.draining.cancelled() => Some(End {
                code: Code::Draining,
                reason: "this edge is about to stop".into(),
            }),
            () = sleep(POLL) => None,
        };
        if place.leave() {
            return upgrade::switch_to(TOKEN);
        }
        match end {
            // A session that was given up while this request came in: the next request opens another.
            None
            | Some(End {
                code: Code::Idle, ..
            }) => nobody_came(),
            Some(end) => upgrade::refuse(&Refusal::new(end.code, end.reason).to_message()),
        }
    }

    async fn session(
        self: &Arc<Self>,
        headers: &HeaderMap,
        peer: SocketAddr,
    ) -> Result<Live, Refusal> {
        let asked = Asked::of(headers)?;
        if self.desk.draining.is_cancelled() {
            return Err(Refusal::new(Code::Draining, "this edge is about to stop"));
        }
        if let Some(live) = self.find(&asked.key) {
            return Ok(live);
        }
        self.open(asked, peer).await
    }

    fn find(&self, key: &Key) -> Option<Live> {
        let live = self.live().get(key).cloned();
        live.filter(|live| !live.session.is_over())
    }

    async fn open(self: &Arc<Self>, asked: Asked, peer: SocketAddr) -> Result<Live, Refusal> {
        let came = Instant::now();
        let (live, new) = self.admit(asked, peer).await?;
        if let Some(New {
            key,
            outgoing,
            bound,
        }) = new
        {
            self.spawn(key, live.clone(), outgoing, came);
            self.desk.until_open(&bound).await;
        }
        Ok(live)
    }

    async fn admit(&self, asked: Asked, peer: SocketAddr) -> Result<(Live, Option<New>), Refusal> {
        let desk = &self.desk;
        if !desk.facts.is_synced() {
            desk.catch_up(Revision::ZERO.next()).await;
        }
        let (claims, fresh) = desk.read_token(&asked.token).await?;
        admit::bearer(&claims)?;
        self.take_in(asked, claims, fresh, peer)
    }

    fn take_in(
        &self,
        asked: Asked,
        claims: Claims,
        fresh: bool,
        peer: SocketAddr,
    ) -> Result<(Live, Option<New>), Refusal> {
        let desk = &self.desk;
        let transport = Arc::new(SingleTransport::new(peer));
        let new = NewSession {
            id: SessionId::from_random(rand::random()),
            since: now(),
            transport: transport.clone(),
            claims: claims.clone(),
            resume: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()).into(),
            wants_visits: false,
            datagrams: false,
        };
        let (session, outgoing) = SessionHandle::new(new, desk.metrics.clone());
        let binds = asked.bind.as_ref().map(std::slice::from_ref);
        let mut all = self.live();
        // Several requests may have come at once, and the first has opened the session.
        if let Some(live) = all.get(&asked.key).filter(|live| !live.session.is_over()) {
            return Ok((live.clone(), None));
        }
        // A new token for the same bind goes on where the old one was.
        let before = all.iter().find(|(key, live)| {
            key.bind == asked.key.bind
                && live.session.subject() == claims.subject
                && !live.session.is_over()
        });
        let resume = before.map(|(_, live)| live.session.resume().clone());
        let opened = desk.decide(fresh, |here| {
            admit::session(&claims, here)?;
            let wishes = admit::binds(&claims, binds, here)?;
            desk.sessions.open(&session, wishes, resume.as_ref())
        })?;
        let live = Live { session, transport };
        all.insert(asked.key.clone(), live.clone());
        let new = New {
            key: asked.key,
            outgoing,
            bound: opened.bound,
        };
        Ok((live, Some(new)))
    }

    fn spawn(self: &Arc<Self>, key: Key, live: Live, outgoing: Outgoing, came: Instant) {
        let (singles, cut) = (self.clone(), self.cut.clone());
        let span = tracing::error_span!("session", id = %live.session.id);
        let living = async move { singles.hold(key, live, outgoing, came).await };
        let living = living.instrument(span);
        self.tasks
            .spawn(async move { cut.run_until_cancelled(living).await });
    }

    /// From the first request to the end.
    async fn hold(&self, key: Key, live: Live, outgoing: Outgoing, came: Instant) {
        let (desk, session) = (&self.desk, &live.session);
        let claims = session.claims();
        tracing::info!(
            session = %session.id, agent = %claims.subject, account = %claims.account,
            transport = %TransportKind::Single, peer = %live.transport.peer(), "a session begins",
        );
        desk.metrics
            .session_began(TransportKind::Single, came.elapsed());
        let end = tokio::select! {
            biased;
            end = control::ended(desk, session) => end,
            end = control::expired(session) => end,
            end = obey(desk, session, outgoing) => end,
            () = live.transport.forsaken(POLL_LINGER) => End {
                code: Code::Idle,
                reason: "the agent has not asked for visitors for a minute".into(),
            },
        };
        desk.sessions.close(&session.id);
        session.end(end.code, end.reason.clone());
        live.transport.close(end.code, &end.reason);
        self.forget(&key, session);
        desk.metrics.session_ended(TransportKind::Single, end.code);
        tracing::info!(session = %session.id, code = %end.code, reason = %end.reason, "a session has ended");
    }

    fn forget(&self, key: &Key, session: &Arc<SessionHandle>) {
        let mut all = self.live();
        let is_it = all
            .get(key)
            .is_some_and(|live| Arc::ptr_eq(&live.session, session));
        if is_it {
            all.remove(key);
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Response<Full<Bytes>> {
        self.desk.metrics.refused(refusal.code);
        let mut response = upgrade::refuse(&refusal.to_message());
        if response.status() == StatusCode::UNAUTHORIZED {
            // RFC 6750, section 3.
            let bearer = header::HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }

    // Every change is whole when something panics.
    fn live(&self) -> MutexGuard<'_, HashMap<Key, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let Ask { token, bind } =
            Ask::read(headers).map_err(|error| Refusal::new(error.code(), error.to_string()))?;
        let key = Key {
            token: sha256(token.expose().as_bytes()),
            bind: headers
                .get(BIND)
                .map_or_else(Vec::new, |bind| bind.as_bytes().to_vec()),
        };
        Ok(Self { key, token, bind })
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

fn nobody_came() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Does what can be done of what an agent would be told on a control stream.
async fn obey(desk: &Desk, session: &SessionHandle, mut outgoing: Outgoing) -> End {
    while let Some(message) = outgoing.messages.recv().await {
        if matches!(*message, EdgeMessage::Drain(_)) {
            desk.sessions.withdraw(&session.id);
        }
    }
    // The sender is in the session, which is there.
    std::future::pending().await
}
