//! Steps of a visit that are over, for whoever writes them down: this crate and those above it know no exporter.

use std::{
    fmt::Debug,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use super::{SpanId, TraceContext, TraceId};

/// One step that is over.
#[derive(Clone, Debug)]
pub struct Span {
    pub context: TraceContext,
    /// Of the step that this one is part of, wherever that was.
    pub parent: Option<SpanId>,
    pub name: &'static str,
    pub kind: SpanKind,
    pub began: SystemTime,
    pub took: Duration,
    /// By the names of OpenTelemetry's conventions where there is one.
    pub attributes: Vec<(&'static str, String)>,
    /// What went wrong, if something did: a stable word.
    pub error: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Answers somebody outside.
    Server,
    /// Asks somebody outside.
    Client,
    Internal,
}

/// Writes steps down. Called in the middle of the work, so it never waits.
pub trait SpanSink: Debug + Send + Sync + 'static {
    /// Whether the steps of this trace are wanted; `parent` is what the visitor's own context says of it.
    fn samples(&self, trace: TraceId, parent: Option<bool>) -> bool;

    /// A step of a sampled trace is over.
    fn ended(&self, span: Span);
}

static SINK: OnceLock<Arc<dyn SpanSink>> = OnceLock::new();

/// Has the steps of this process written down; the first one stays.
pub fn install(sink: Arc<dyn SpanSink>) {
    // A second one is a mistake of the program's start, and the first one works.
    let _ = SINK.set(sink);
}

/// Where steps go, if anywhere.
pub fn sink() -> Option<&'static dyn SpanSink> {
    SINK.get().map(|sink| &**sink)
}

impl Span {
    /// Hands the step over, if its trace is wanted.
    pub fn finish(self) {
        if self.context.sampled
            && let Some(sink) = sink()
        {
            sink.ended(self);
        }
    }
}
