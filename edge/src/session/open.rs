//! From a connection to a session: the control stream, `hello`, the decision, `welcome`.

use std::{ops::RangeInclusive, sync::Arc, time::SystemTime};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{EdgeId, Hostname, Region, Revision, SessionId, UnixTime};
use store::Replica;
use token::{Claims, Expect};
use tokio::{
    io::{ReadHalf, WriteHalf},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tunnel::{
    Code, ControlReader, ControlWriter, Limits, Secret, Stream, Transport, TransportKind,
    control::ControlError,
    limits::{BINDS, HELLO_WITHIN, KEEPALIVE, PEER_STREAMS_BEFORE_WELCOME, WELCOME_WITHIN},
    message::{AgentMessage, EdgeMessage, Hello, VERSION, Welcome},
};

use super::{
    admit::{self, Here, Refusal},
    bound::Bound,
    control,
    handle::{End, NewSession, Outgoing, SessionHandle},
    possession,
    table::Sessions,
    urls::Urls,
};
use crate::{
    bounds::{FAREWELL, REPLICA_WAIT},
    listen::OpenPorts,
    metrics::{Hit, Metrics},
    quiet::Quiet,
    route::{Facts, Follow},
};

pub(super) type Reader = ControlReader<ReadHalf<Stream>>;
pub(super) type Writer = ControlWriter<WriteHalf<Stream>>;

/// What every session needs of the edge.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) edge: EdgeId,
    /// The edge's own names.
    pub(crate) names: Vec<Hostname>,
    pub(crate) region: Region,
    pub(crate) ports: RangeInclusive<u16>,
    pub(crate) open_ports: Arc<OpenPorts>,
    pub(crate) expect: Expect,
    pub(crate) urls: Urls,
    pub(crate) facts: Arc<Replica<Follow>>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) metrics: Metrics,
    /// No new sessions.
    pub(crate) draining: CancellationToken,
}

/// A control stream whose hello was read.
pub(super) struct Greeted {
    pub(super) hello: Hello,
    pub(super) reader: Reader,
    pub(super) writer: Writer,
}

struct Admitted {
    session: Arc<SessionHandle>,
    outgoing: Outgoing,
    welcome: Vec<EdgeMessage>,
}

/// Serves one agent's connection to its end. `stranger` is dropped as soon as the agent is known.
pub(crate) async fn serve<S>(desk: Arc<Desk>, transport: Arc<dyn Transport>, stranger: S) {
    let came = Instant::now();
    // What only the beginning needs is boxed: the session would carry it to its end.
    let Some(mut greeted) = Box::pin(greet(&desk, &*transport)).await else {
        return;
    };
    let admitted = match Box::pin(admit(&desk, &transport, &mut greeted)).await {
        Ok(admitted) => admitted,
        Err(refusal) => {
            refuse(&desk, &*transport, greeted.writer, &refusal).await;
            return;
        }
    };
    drop(stranger);
    // Every line of the session's tasks names it, whatever the log's level is.
    let span = tracing::error_span!("session", id = %admitted.session.id);
    hold(&desk, &transport, greeted, admitted, came)
        .instrument(span)
        .await;
}

/// From the welcome to the end.
async fn hold(
    desk: &Desk,
    transport: &Arc<dyn Transport>,
    mut greeted: Greeted,
    admitted: Admitted,
    came: Instant,
) {
    let Admitted {
        session,
        outgoing,
        welcome,
    } = admitted;
    // The agent opens no second stream, but it may now use a session's memory.
    transport.admit(PEER_STREAMS_BEFORE_WELCOME);
    if session.datagrams {
        transport.agree_on_datagrams();
    }
    let claims = session.claims();
    tracing::info!(
        session = %session.id, agent = %claims.subject, account = %claims.account, program = %greeted.hello.agent,
        transport = %transport.kind(), peer = %transport.peer(), "a session begins",
    );
    let saying = timeout(WELCOME_WITHIN, say(&mut greeted.writer, &welcome));
    let welcomed = Box::pin(saying).await;
    drop(welcome);
    desk.metrics.session_began(transport.kind(), came.elapsed());
    let end = match welcomed {
        Ok(Ok(())) => control::run(desk, &session, greeted.reader, greeted.writer, outgoing).await,
        Ok(Err(error)) => control::broken(&error),
        Err(_) => {
            desk.metrics.hit(Hit::WelcomeTime);
            End {
                code: Code::Idle,
                reason: "the agent does not read its welcome".into(),
            }
        }
    };
    desk.sessions.close(&session.id);
    session.end(end.code, end.reason.clone());
    transport.close(end.code, &end.reason);
    desk.metrics.session_ended(transport.kind(), end.code);
    tracing::info!(session = %session.id, code = %end.code, reason = %end.reason, "a session has ended");
}

async fn say(writer: &mut Writer, lines: &[EdgeMessage]) -> Result<(), ControlError> {
    for line in lines {
        writer.send(line).await?;
    }
    Ok(())
}

impl Desk {
    /// Decides with the facts held still, so that nothing can be revoked between the decision and what follows from it.
    pub(super) fn decide<T>(&self, fresh: bool, decision: impl FnOnce(Here<'_>) -> T) -> T {
        self.facts.read(|follow| {
            decision(Here {
                facts: follow.facts(),
                region: &self.region,
                ports: &self.ports,
                fresh,
            })
        })
    }

    /// The token's claims, whoever shows it (see [`possession`] and [`admit::bearer`]), and whether this edge knows the
    /// world as well as the token's issuer did.
    pub(super) async fn read_token(&self, token: &Secret) -> Result<(Claims, bool), Refusal> {
        let keys = self.facts.read(|follow| follow.facts().keys());
        let claims = admit::token(token.expose(), &keys, &self.expect, now())?;
        let fresh = self.catch_up(claims.revision).await;
        Ok((claims, fresh))
    }

    pub(super) fn welcome(
        &self,
        session: &SessionHandle,
        bound: &[Arc<Bound>],
    ) -> Vec<EdgeMessage> {
        let welcome = Welcome {
            v: VERSION,
            session: session.id.clone(),
            edge: self.edge.clone(),
            bound: bound.iter().map(|bound| self.urls.bound(bound)).collect(),
            session_exp: session.claims().session_expires,
            keepalive: KEEPALIVE,
            limits: Limits {
                binds: BINDS,
                streams: session.stream_limit(),
                ..Limits::default()
            },
            edges: self.other_edges(),
            resume: Some(session.resume().clone()),
            datagrams: session.datagrams,
            more: false,
        };
        welcome
            .into_lines()
            .into_iter()
            .map(EdgeMessage::Welcome)
            .collect()
    }

    /// Visitors can come by the ports among these, or will as soon as it can be.
    pub(super) async fn until_open(&self, bound: &[Arc<Bound>]) {
        let ports: Vec<_> = bound.iter().filter_map(|bound| bound.name.port()).collect();
        if !ports.is_empty() && !self.open_ports.wait(&ports).await {
            self.metrics.hit(Hit::PortWait);
        }
    }

    pub(crate) fn other_edges(&self) -> Vec<String> {
        self.facts
            .read(|follow| Facts::other_edges(follow.facts(), &self.edge))
    }

    pub(super) async fn catch_up(&self, to: Revision) -> bool {
        if self.facts.revision() >= to && self.facts.is_synced() {
            return true;
        }
        let fresh = self.facts.reached(to, REPLICA_WAIT).await && self.facts.is_synced();
        if !fresh {
            self.metrics.hit(Hit::ReplicaWait);
        }
        fresh
    }
}

/// Wall time: what tokens are measured by.
pub(super) fn now() -> UnixTime {
    SystemTime::now().into()
}

async fn greet(desk: &Desk, transport: &dyn Transport) -> Option<Greeted> {
    let hello = timeout(HELLO_WITHIN, read_hello(transport)).await;
    let refusal = match hello {
        Ok(Some((Ok(hello), reader, writer))) => {
            return Some(Greeted {
                hello,
                reader,
                writer,
            });
        }
        Ok(Some((Err(refusal), _, writer))) => {
            refuse(desk, transport, writer, &refusal).await;
            return None;
        }
        Ok(None) => return None,
        Err(_) => {
            desk.metrics.hit(Hit::HelloTime);
            // Not `protocol`, after which agents give up for good: most who are late have a slow machine or path.
            Refusal::new(
                Code::Idle,
                "a session begins with hello, within five seconds",
            )
        }
    };
    desk.metrics.refused(refusal.code);
    transport.close(refusal.code, &refusal.message);
    None
}

/// None when the agent left.
async fn read_hello(transport: &dyn Transport) -> Option<(Result<Hello, Refusal>, Reader, Writer)> {
    let (read, write) = tokio::io::split(transport.accept().await.ok()?);
    let (mut reader, writer) = (ControlReader::new(read), ControlWriter::new(write));
    let hello = match reader.next::<AgentMessage>().await {
        Ok(Some(AgentMessage::Hello(hello))) => Ok(hello),
        Ok(Some(_)) => Err(Refusal::new(
            Code::Protocol,
            "the first message of an agent is hello",
        )),
        Ok(None) => return None,
        Err(error) => Err(Refusal::new(Code::Protocol, error.to_string())),
    };
    Some((hello, reader, writer))
}

async fn admit(
    desk: &Desk,
    transport: &Arc<dyn Transport>,
    greeted: &mut Greeted,
) -> Result<Admitted, Refusal> {
    admit::version(&greeted.hello.v)?;
    if desk.draining.is_cancelled() {
        return Err(Refusal::new(Code::Draining, "this edge is about to stop"));
    }
    if !desk.facts.is_synced() {
        // Without keys no token could be believed.
        desk.catch_up(Revision::ZERO.next()).await;
    }
    let (claims, fresh) = desk.read_token(&greeted.hello.token).await?;
    possession::check(desk, &**transport, greeted, &claims).await?;
    let hello = &greeted.hello;
    let new = NewSession {
        id: SessionId::from_random(rand::random()),
        since: now(),
        transport: transport.clone(),
        claims: claims.clone(),
        resume: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()).into(),
        wants_visits: hello.visits,
        datagrams: hello.datagrams && transport.kind() == TransportKind::Quic,
    };
    let (session, outgoing) = SessionHandle::new(new, desk.metrics.clone());
    let opened = desk.decide(fresh, |here| {
        admit::session(&claims, here)?;
        let wishes = admit::binds(&claims, hello.bind.as_deref(), here)?;
        desk.sessions.open(&session, wishes, hello.resume.as_ref())
    })?;
    desk.until_open(&opened.bound).await;
    let mut welcome = desk.welcome(&session, &opened.bound);
    let refused = opened
        .refused
        .iter()
        .map(|refusal| EdgeMessage::Error(refusal.to_message()));
    welcome.extend(refused);
    Ok(Admitted {
        session,
        outgoing,
        welcome,
    })
}

/// Whoever reaches the edge can say a hello that is refused.
static REFUSED: Quiet = Quiet::new();

/// Says why, and gives the agent a moment to read it before the connection is closed over it.
async fn refuse(desk: &Desk, transport: &dyn Transport, mut writer: Writer, refusal: &Refusal) {
    desk.metrics.refused(refusal.code);
    if let Some(left_out) = REFUSED.admits(Instant::now()) {
        tracing::info!(
            peer = %transport.peer(), code = %refusal.code, reason = %refusal.message, left_out, "a hello is refused",
        );
    }
    let message = EdgeMessage::Error(refusal.to_message());
    let saying = async {
        // An agent that does not listen learns the code from the close.
        if writer.send(&message).await.is_ok() && writer.finish().await.is_ok() {
            transport.closed().await;
        }
    };
    if timeout(FAREWELL, saying).await.is_err() {
        desk.metrics.hit(Hit::FarewellTime);
    }
    transport.close(refusal.code, &refusal.message);
}
