//! From bytes to lines to messages, without I/O.

use std::borrow::Cow;

use serde::Deserialize;

use crate::{
    bounds::{self, Bound},
    limits,
    message::Vocabulary,
};

#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error("a control line has at most {} bytes", limits::CONTROL_LINE)]
    TooLong,
    #[error("not a message of the protocol: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the peer demands {0:?}, which this version does not understand")]
    Critical(String),
}

/// Holds what has come of a line; never more than one line and one read beyond.
#[derive(Debug, Default)]
pub struct LineSplitter {
    bytes: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// How far behind `start` there is no newline.
    searched: usize,
}

impl LineSplitter {
    /// Takes what was read. To be called when [`Self::next_line`] has none left.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole line that is not blank, without its newline.
    pub fn next_line(&mut self) -> Result<Option<Vec<u8>>, LineError> {
        while let Some(line) = self.cut()? {
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    /// True when nothing but white space has come since the last line.
    pub fn is_empty(&self) -> bool {
        self.bytes[self.start..].trim_ascii().is_empty()
    }

    fn cut(&mut self) -> Result<Option<Vec<u8>>, LineError> {
        let open = &self.bytes[self.start..];
        let newline = open[self.searched..].iter().position(|b| *b == b'\n');
        let length = newline.map_or(open.len(), |at| self.searched + at + 1);
        if length > limits::CONTROL_LINE || (newline.is_none() && length == limits::CONTROL_LINE) {
            bounds::hit(Bound::ControlLine);
            return Err(LineError::TooLong);
        }
        if newline.is_none() {
            self.searched = length;
            return Ok(None);
        }
        let line = open[..length - 1].to_vec();
        self.start += length;
        self.searched = 0;
        if self.start == self.bytes.len() {
            // A session waits for hours for the next line, and the last one may have held a token.
            *self = Self::default();
        }
        Ok(Some(line))
    }
}

/// Reads one line. A type that is not known gives the `Unknown` of its direction, unless it is named in `crit`.
pub fn parse<M: Vocabulary>(line: &[u8]) -> Result<M, LineError> {
    let envelope: Envelope<'_> = serde_json::from_slice(line)?;
    let known = M::members(&envelope.t);
    let understood = |name: &str| match known {
        Some(members) => name == envelope.t || members.contains(&name),
        None => false,
    };
    match envelope.crit.into_iter().find(|name| !understood(name)) {
        Some(name) => Err(LineError::Critical(name.chars().take(64).collect())),
        None => Ok(serde_json::from_slice(line)?),
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    t: Cow<'a, str>,
    #[serde(borrow, default)]
    crit: Vec<Cow<'a, str>>,
}
