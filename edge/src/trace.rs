//! The trace that a visit belongs to: the visitor's own if he brings one, else a new one.

use std::time::{Instant, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};
use tunnel::trace::{self, Span, SpanId, SpanKind, TraceContext, TraceId, tracestate};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Where one visit stands in its trace.
#[derive(Clone, Debug)]
pub(crate) struct Visiting {
    /// The edge's own step of it.
    pub(crate) context: TraceContext,
    /// The visitor's step, if he named one.
    parent: Option<SpanId>,
    /// What the visitor's systems say beside it.
    state: Option<HeaderValue>,
}

/// A step within the visit that is not over yet.
#[derive(Debug)]
pub(crate) struct Step {
    context: TraceContext,
    parent: SpanId,
    name: &'static str,
    kind: SpanKind,
    began: SystemTime,
    since: Instant,
}

impl Visiting {
    /// A visit whose visitor cannot say anything about it.
    pub(crate) fn begin() -> Self {
        let trace = TraceId::from_random(rand::random());
        Self {
            context: TraceContext {
                trace,
                span: new_span(),
                sampled: is_sampled(trace, None),
            },
            parent: None,
            state: None,
        }
    }

    /// Goes on with the trace of a request, if it names exactly one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut named = headers.get_all(TRACEPARENT).iter();
        let (Some(value), None) = (named.next(), named.next()) else {
            return Self::begin();
        };
        let Some(theirs) = TraceContext::parse(value.as_bytes()) else {
            return Self::begin();
        };
        let states = headers.get_all(TRACESTATE).iter();
        let state = tracestate(states.map(HeaderValue::as_bytes));
        Self {
            context: TraceContext {
                trace: theirs.trace,
                span: new_span(),
                sampled: is_sampled(theirs.trace, Some(theirs.sampled)),
            },
            parent: Some(theirs.span),
            state: state.and_then(|state| HeaderValue::try_from(state).ok()),
        }
    }

    /// Names the visit and no other: a visitor may use his trace for many.
    pub(crate) fn id(&self) -> String {
        match self.parent {
            None => self.context.trace.to_string(),
            Some(_) => format!("{}-{}", self.context.trace, self.context.span),
        }
    }

    /// Has the origin go on from the edge's step.
    pub(crate) fn tell_origin(&self, headers: &mut HeaderMap) {
        headers.remove(TRACESTATE);
        if let Ok(value) = HeaderValue::try_from(self.context.to_string()) {
            headers.insert(TRACEPARENT, value);
        }
        if let Some(state) = &self.state {
            headers.insert(TRACESTATE, state.clone());
        }
    }

    pub(crate) fn step(&self, name: &'static str, kind: SpanKind) -> Step {
        Step {
            context: self.context.child(new_span()),
            parent: self.context.span,
            name,
            kind,
            began: SystemTime::now(),
            since: Instant::now(),
        }
    }

    /// The visit itself, when it is over. `attributes` is asked only when somebody wants to know.
    pub(crate) fn finish(
        &self,
        took: std::time::Duration,
        error: Option<&'static str>,
        attributes: impl FnOnce() -> Vec<(&'static str, String)>,
    ) {
        if !self.context.sampled || trace::sink().is_none() {
            return;
        }
        Span {
            context: self.context,
            parent: self.parent,
            name: "visit",
            kind: SpanKind::Server,
            began: SystemTime::now() - took,
            took,
            attributes: attributes(),
            error,
        }
        .finish();
    }
}

impl Step {
    pub(crate) const fn context(&self) -> TraceContext {
        self.context
    }

    pub(crate) fn finish(self, error: Option<&'static str>) {
        if !self.context.sampled || trace::sink().is_none() {
            return;
        }
        Span {
            context: self.context,
            parent: Some(self.parent),
            name: self.name,
            kind: self.kind,
            began: self.began,
            took: self.since.elapsed(),
            attributes: Vec::new(),
            error,
        }
        .finish();
    }
}

fn new_span() -> SpanId {
    SpanId::from_random(rand::random())
}

/// Where nobody here writes steps down, a new trace is marked as wanted: an origin whose sampler follows its caller then goes
/// on as if it had none (docs/decisions/0011).
fn is_sampled(trace: TraceId, parent: Option<bool>) -> bool {
    match trace::sink() {
        Some(sink) => sink.samples(trace, parent),
        None => parent.unwrap_or(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEIRS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    fn headers(fields: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_trace_goes_on_with_a_step_of_the_edges_own() {
        let mut headers = headers(&[
            (TRACEPARENT, THEIRS),
            (TRACESTATE, "a=1"),
            (TRACESTATE, "b=2"),
        ]);
        let visiting = Visiting::of(&headers);
        visiting.tell_origin(&mut headers);
        let told = TraceContext::parse(headers[TRACEPARENT].as_bytes()).unwrap();
        let theirs = TraceContext::parse(THEIRS.as_bytes()).unwrap();
        assert_eq!((told.trace, told.sampled), (theirs.trace, false));
        assert_ne!(told.span, theirs.span);
        assert_eq!(headers[TRACESTATE], "a=1,b=2");
        assert_eq!(visiting.id(), format!("{}-{}", told.trace, told.span));
    }

    #[test]
    fn what_cannot_be_believed_begins_a_new_trace_without_a_state() {
        for fields in [
            &[(TRACEPARENT, "00-nonsense"), (TRACESTATE, "a=1")][..],
            &[
                (TRACEPARENT, THEIRS),
                (TRACEPARENT, THEIRS),
                (TRACESTATE, "a=1"),
            ],
            &[(TRACESTATE, "a=1")],
        ] {
            let mut headers = headers(fields);
            let visiting = Visiting::of(&headers);
            visiting.tell_origin(&mut headers);
            let told = TraceContext::parse(headers[TRACEPARENT].as_bytes()).unwrap();
            assert_ne!(
                told.trace,
                TraceContext::parse(THEIRS.as_bytes()).unwrap().trace
            );
            assert!(told.sampled);
            assert_eq!(headers.get_all(TRACEPARENT).iter().count(), 1);
            assert!(!headers.contains_key(TRACESTATE));
            assert_eq!(visiting.id(), told.trace.to_string());
        }
    }
}
