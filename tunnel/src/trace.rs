//! Which visit a stream belongs to, in the terms of W3C Trace Context (level 1): what a visitor brings is read here, what an
//! origin and an agent are told is written here.
//!
//! Pure: chance comes as an argument, and what is no trace context is none, without a word of why.

mod parse;
mod span;

use std::fmt;

pub use self::{
    parse::{MAX_TRACESTATE, tracestate},
    span::{Span, SpanKind, SpanSink, install, sink},
};

/// Names all that happens because of one request, wherever it happens. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// Names one step of it. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

/// Where a step stands in a trace: what `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    pub trace: TraceId,
    /// The step itself, which is the parent of those that follow.
    pub span: SpanId,
    /// Whoever began it may have written it down.
    pub sampled: bool,
}

impl TraceId {
    /// Of 128 random bits.
    pub const fn from_random(bits: u128) -> Self {
        Self(if bits == 0 { 1_u128 } else { bits }.to_be_bytes())
    }

    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl SpanId {
    /// Of 64 random bits.
    pub const fn from_random(bits: u64) -> Self {
        Self(if bits == 0 { 1_u64 } else { bits }.to_be_bytes())
    }

    pub const fn bytes(self) -> [u8; 8] {
        self.0
    }
}

impl TraceContext {
    /// The value of a `traceparent` field.
    pub fn parse(value: &[u8]) -> Option<Self> {
        parse::traceparent(value)
    }

    /// Another step of the same trace.
    #[must_use]
    pub const fn child(self, span: SpanId) -> Self {
        Self { span, ..self }
    }

    /// The stream head's UNIQUE_ID: the trace id, and behind it the rest.
    pub fn unique_id(self) -> Vec<u8> {
        format!("{}-{}-{:02x}", self.trace, self.span, self.flags()).into_bytes()
    }

    /// What [`Self::unique_id`] wrote; none for an edge that knows only the trace id, or something else.
    pub fn of_unique_id(bytes: &[u8]) -> Option<Self> {
        parse::unique_id(bytes)
    }

    const fn flags(self) -> u8 {
        self.sampled as u8
    }
}

/// As a `traceparent` field says it.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, self.flags())
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
