//! A visitor's connection whose bytes are carried as they are: `tcp` endpoints, and `tls` ones behind their ClientHello.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use model::{Hostname, Kind};
use socket2::SockRef;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::Instant};
use tunnel::{StreamHead, trace::SpanKind};

use crate::{
    access::{Connection, ConnectionEnd, VisitLog},
    carry::carry,
    flow,
    http::{Copied, OriginError},
    metrics::{Hit, Metrics},
    session::{Bound, Holding},
    trace::Visiting,
};

/// Carries connections and writes them down.
#[derive(Debug)]
pub(crate) struct Carrier {
    access: Arc<dyn VisitLog>,
    metrics: Metrics,
}

/// One connection, and what is known of it.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) stream: TcpStream,
    pub(crate) visitor: Visitor,
    /// What was read of it already.
    pub(crate) first: Vec<u8>,
}

/// Who came, and what for.
#[derive(Debug)]
pub(crate) struct Visitor {
    pub(crate) peer: SocketAddr,
    /// What he connected to.
    pub(crate) local: SocketAddr,
    /// The edge's own port; a load balancer may have another one.
    pub(crate) port: u16,
    pub(crate) kind: Kind,
    /// What he asked for by name.
    pub(crate) host: Option<Hostname>,
}

/// A visit that is under way.
struct Record {
    started: Instant,
    visiting: Visiting,
    line: Connection,
}

impl Carrier {
    pub(crate) fn new(access: Arc<dyn VisitLog>, metrics: Metrics) -> Self {
        Self { access, metrics }
    }

    /// Carries the connection to its end. What does not end well is reset, so that the visitor never takes it for whole.
    pub(crate) async fn carry(&self, carried: &mut Carried, holding: &Holding) {
        let record = carried.visitor.record(holding);
        // Until it is known to be whole: this may be cut at any time.
        reset_when_closed(&carried.stream);
        let (copied, end) = exchange(carried, holding, &record.visiting, &self.metrics).await;
        if end == ConnectionEnd::Complete {
            end_when_closed(&carried.stream);
        }
        self.visited(record, holding, &copied, end);
    }

    /// Carries the datagrams of one visitor until he is silent.
    pub(crate) async fn carry_flow(&self, mut carried: flow::Carried, holding: &Holding) {
        let record = carried.visitor.record(holding);
        let opened = open(
            &carried.visitor,
            holding,
            &record.visiting,
            Bound::open_flow,
        )
        .await;
        let (copied, end) = match opened {
            Err(error) => (Copied::default(), error.into()),
            Ok(origin) => {
                let counts = flow::Counts::new(&holding.bound.usage, &self.metrics);
                let (copied, result) = flow::carry(&mut carried, origin, counts).await;
                let end = result.map_or_else(
                    |error| OriginError::of(&error).into(),
                    |()| ConnectionEnd::Complete,
                );
                (copied, end)
            }
        };
        self.visited(record, holding, &copied, end);
    }

    fn visited(&self, record: Record, holding: &Holding, copied: &Copied, end: ConnectionEnd) {
        holding.bound.usage.visited();
        let Record {
            started,
            visiting,
            mut line,
        } = record;
        line.end = end;
        (line.up, line.down) = (copied.from_left, copied.from_right);
        self.write_down(line, started.elapsed(), &visiting);
    }

    /// Nobody serves the endpoint. What becomes of the connection is for the caller.
    pub(crate) fn offline(&self, visitor: &Visitor, waited: Duration) {
        let visiting = Visiting::begin();
        self.write_down(visitor.line(None, &visiting), waited, &visiting);
    }

    fn write_down(&self, mut line: Connection, took: Duration, visiting: &Visiting) {
        line.ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        visiting.finish(took, line.failure(), || line.attributes());
        tracing::debug!(
            connection = line.connection, session = ?line.session, claim = ?line.claim, end = line.end.as_str(),
            ms = line.ms, up = line.up, down = line.down, "a connection is over",
        );
        self.metrics.connection(&line);
        self.access.connection(&line);
    }
}

impl Visitor {
    fn record(&self, holding: &Holding) -> Record {
        let visiting = Visiting::begin();
        Record {
            started: Instant::now(),
            line: self.line(Some(holding), &visiting),
            visiting,
        }
    }

    fn line(&self, holding: Option<&Holding>, visiting: &Visiting) -> Connection {
        let bound = holding.map(|holding| &holding.bound);
        Connection {
            time: SystemTime::now().into(),
            connection: visiting.id(),
            span: visiting.context.span.to_string(),
            kind: self.kind,
            visitor: self.peer.ip().to_canonical(),
            host: self.host.clone(),
            port: self.host.is_none().then_some(self.port),
            claim: bound.map(|bound| bound.claim.clone()),
            account: bound.map(|bound| bound.account.clone()),
            session: bound.map(|bound| bound.session.id.clone()),
            end: ConnectionEnd::Offline,
            ms: 0,
            up: 0,
            down: 0,
        }
    }
}

/// Closing the socket tells the peer of an abort.
pub(crate) fn reset_when_closed(stream: &TcpStream) {
    // Where it fails the socket is broken anyhow.
    let _ = stream.set_zero_linger();
}

/// Closing the socket lets what was written arrive.
fn end_when_closed(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(None);
}

/// Asks the agent for a stream to the origin, in one of the ways that a bound endpoint has.
async fn open<T>(
    visitor: &Visitor,
    holding: &Holding,
    visiting: &Visiting,
    way: impl AsyncFnOnce(&Bound, StreamHead) -> Result<T, OriginError>,
) -> Result<T, OriginError> {
    let mut head = StreamHead::new(visitor.peer, visitor.local, holding.bound.id);
    head.authority = visitor.host.as_ref().map(ToString::to_string);
    let step = visiting.step("open stream", SpanKind::Client);
    head.unique_id = Some(step.context().unique_id());
    // Boxed: it is over long before the connection is.
    let opened = Box::pin(way(&holding.bound, head)).await;
    step.finish(opened.as_ref().err().map(|error| error.as_str()));
    opened
}

async fn exchange(
    carried: &mut Carried,
    holding: &Holding,
    visiting: &Visiting,
    metrics: &Metrics,
) -> (Copied, ConnectionEnd) {
    let mut origin = match open(&carried.visitor, holding, visiting, Bound::open).await {
        Ok(origin) => origin,
        Err(error) => return (Copied::default(), error.into()),
    };
    let first = std::mem::take(&mut carried.first);
    if let Err(error) = origin.write_all(&first).await {
        return (Copied::default(), OriginError::of(&error).into());
    }
    let (mut copied, result) = carry(&mut carried.stream, &mut origin).await;
    copied.from_left += first.len() as u64;
    let end = match result {
        Ok(()) => ConnectionEnd::Complete,
        Err(error) => {
            if error.kind() == std::io::ErrorKind::TimedOut && error.get_ref().is_none() {
                metrics.hit(Hit::HalfClosed);
            }
            OriginError::of(&error).into()
        }
    };
    (copied, end)
}

impl From<OriginError> for ConnectionEnd {
    fn from(error: OriginError) -> Self {
        match error {
            OriginError::Refused => Self::Refused,
            OriginError::Timeout => Self::Timeout,
            OriginError::Limit => Self::Limit,
            OriginError::Aborted | OriginError::Gone => Self::Aborted,
        }
    }
}
