//! What `adit run` prints: a table on a terminal, lines that begin with the tunnel's name in a pipe, JSON on request.

use std::io::{IsTerminal, Write, stdout};

use super::{Event, Json, Numbers, table::Table, text};
use crate::failure::Failure;

/// The longest line, as in `plain`.
const MAX_LINE: usize = 2048;

#[derive(Debug)]
pub(crate) enum TunnelsOutput {
    Table(Box<Table>),
    Plain,
    Json(Json),
}

impl TunnelsOutput {
    pub(crate) fn choose(json: bool) -> Self {
        if json {
            Self::Json(Json)
        } else if stdout().is_terminal() {
            Self::Table(Box::default())
        } else {
            Self::Plain
        }
    }

    /// `tunnel` is none for what is about all of them.
    pub(crate) fn show(&mut self, tunnel: Option<&str>, event: &Event) {
        match self {
            Self::Table(table) => table.show(tunnel, event),
            Self::Plain => plain(tunnel, event),
            Self::Json(json) => json.show_of(tunnel, event),
        }
    }

    pub(crate) fn failed(&mut self, result: &Result<(), Failure>) {
        if let Err(failure) = result {
            self.show(None, &Event::of_failure(failure));
        }
    }

    pub(crate) fn tick(&mut self, numbers: Numbers) {
        if let Self::Table(table) = self {
            table.tick(numbers);
        }
    }
}

fn plain(tunnel: Option<&str>, event: &Event) {
    let mut out = stdout().lock();
    for line in text::lines(event) {
        let line = match tunnel {
            Some(tunnel) => format!("{tunnel}: {}", line.trim_start()),
            None => line,
        };
        // A reader that closed the pipe has heard enough; the tunnels live on until they are stopped.
        let _ = writeln!(out, "{}", text::fit(&line, MAX_LINE));
    }
}
