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
    http::{Copied, OriginError},
    metrics::{Hit, Metrics},
    session::Holding,
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
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) kind: Kind,
    /// What the visitor asked for by name.
    pub(crate) host: Option<Hostname>,
    /// What was read of it already.
    pub(crate) first: Vec<u8>,
}

impl Carrier {
    pub(crate) fn new(access: Arc<dyn VisitLog>, metrics: Metrics) -> Self {
        Self { access, metrics }
    }

    /// Carries the connection to its end. What does not end well is reset, so that the visitor never takes it for whole.
    pub(crate) async fn carry(&self, carried: &mut Carried, holding: &Holding) {
        let started = Instant::now();
        let visiting = Visiting::begin();
        let mut line = carried.line(Some(holding), &visiting);
        // Until it is known to be whole: this may be cut at any time.
        reset_when_closed(&carried.stream);
        let (copied, end) = exchange(carried, holding, &visiting, &self.metrics).await;
        if end == ConnectionEnd::Complete {
            end_when_closed(&carried.stream);
        }
        holding.bound.usage.visited();
        line.end = end;
        (line.up, line.down) = (copied.from_left, copied.from_right);
        self.write_down(line, started.elapsed(), &visiting);
    }

    /// Nobody serves the endpoint. What becomes of the connection is for the caller.
    pub(crate) fn offline(&self, carried: &Carried, waited: Duration) {
        let visiting = Visiting::begin();
        self.write_down(carried.line(None, &visiting), waited, &visiting);
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

impl Carried {
    fn line(&self, holding: Option<&Holding>, visiting: &Visiting) -> Connection {
        let bound = holding.map(|holding| &holding.bound);
        Connection {
            time: SystemTime::now().into(),
            connection: visiting.id(),
            span: visiting.context.span.to_string(),
            kind: self.kind,
            visitor: self.peer.ip().to_canonical(),
            host: self.host.clone(),
            port: self.host.is_none().then(|| self.local.port()),
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

async fn exchange(
    carried: &mut Carried,
    holding: &Holding,
    visiting: &Visiting,
    metrics: &Metrics,
) -> (Copied, ConnectionEnd) {
    let mut head = StreamHead::new(carried.peer, carried.local, holding.bound.id);
    head.authority = carried.host.as_ref().map(ToString::to_string);
    let step = visiting.step("open stream", SpanKind::Client);
    head.unique_id = Some(step.context().unique_id());
    // Boxed: it is over long before the connection is.
    let opened = Box::pin(holding.bound.open(head)).await;
    step.finish(opened.as_ref().err().map(|error| error.as_str()));
    let mut origin = match opened {
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
