//! What a sharing command prints: a live status on a terminal, plain lines in a pipe, JSON on request.
//!
//! Standard output carries the events of docs/cli.md in one of three forms; the log goes to standard error.

mod event;
mod json;
mod live;
mod plain;
mod table;
mod text;
mod tunnels;

use std::io::{IsTerminal, stdout};

pub(crate) use self::{
    event::{Event, Provider, Ready, Started, Visit, texts},
    tunnels::TunnelsOutput,
};
use self::{json::Json, live::Live, plain::Plain};
use crate::failure::Failure;

/// One of the three forms.
#[derive(Debug)]
pub(crate) enum Output {
    Live(Box<Live>),
    Plain(Box<Plain>),
    Json(Json),
}

impl Output {
    pub(crate) fn choose(json: bool) -> Self {
        if json {
            Self::Json(Json)
        } else if stdout().is_terminal() {
            Self::Live(Box::default())
        } else {
            Self::Plain(Box::default())
        }
    }

    /// For processes of a provider, which have nothing to draw.
    pub(crate) fn lines(json: bool) -> Self {
        if json {
            Self::Json(Json)
        } else {
            Self::Plain(Box::default())
        }
    }

    pub(crate) fn show(&mut self, event: &Event) {
        match self {
            Self::Live(live) => live.show(event),
            Self::Plain(plain) => plain.show(event),
            Self::Json(json) => json.show(event),
        }
    }

    /// Tells of a failure those who read events; people read it from standard error.
    pub(crate) fn failed(&mut self, result: &Result<(), Failure>) {
        if let Err(failure) = result {
            self.show(&Event::of_failure(failure));
        }
    }

    /// Redraws what changes without an event: round trip and byte counts.
    pub(crate) fn tick(&mut self, numbers: Numbers) {
        if let Self::Live(live) = self {
            live.tick(numbers);
        }
    }
}

/// What changes all the time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) rtt_ms: Option<f64>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) streams: u64,
}
