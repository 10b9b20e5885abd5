//! The trace of the visit that a stream is for, as the edge told it in the stream's head.

use std::{
    fmt, io,
    time::{Instant, SystemTime},
};

use tunnel::{
    StreamHead,
    trace::{Span, SpanId, SpanKind, TraceContext},
};

/// Connecting to the origin, as a step of that trace.
#[derive(Debug)]
pub(crate) struct Step {
    visit: Option<TraceContext>,
    began: SystemTime,
    since: Instant,
}

impl Step {
    pub(crate) fn begin(head: &StreamHead) -> Self {
        let id = head.unique_id.as_deref();
        Self {
            visit: id.and_then(TraceContext::of_unique_id),
            began: SystemTime::now(),
            since: Instant::now(),
        }
    }

    pub(crate) fn finish(&self, error: Option<&io::Error>) {
        let Some(visit) = self.visit.filter(|visit| visit.sampled) else {
            return;
        };
        Span {
            context: visit.child(SpanId::from_random(rand::random())),
            parent: Some(visit.span),
            name: "connect origin",
            kind: SpanKind::Client,
            began: self.began,
            took: self.since.elapsed(),
            attributes: Vec::new(),
            error: error.map(|_| "origin-refused"),
        }
        .finish();
    }
}

/// The trace's id, for the log; `-` where the edge has told none.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.visit {
            Some(visit) => visit.trace.fmt(f),
            None => f.write_str("-"),
        }
    }
}
