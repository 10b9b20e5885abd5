//! A status block at the foot of a terminal, drawn anew on each change.

use std::{
    collections::VecDeque,
    io::{Write, stdout},
};

use super::{
    Numbers,
    event::{Event, Provider, Ready},
    text::{self, fit},
};

/// Requests shown; with the lines above them they fit a terminal of 24 lines.
const LAST_VISITS: usize = 8;
/// Used where the terminal does not tell its width.
const DEFAULT_WIDTH: usize = 80;

#[derive(Debug, Default)]
pub(crate) struct Live {
    provider: Option<Provider>,
    ready: Option<Ready>,
    state: String,
    hint: Option<String>,
    visits: VecDeque<(u16, String)>,
    visit_count: u64,
    numbers: Numbers,
    drawn: usize,
}

impl Live {
    pub(crate) fn show(&mut self, event: &Event) {
        match event {
            Event::Provider(provider) => self.provider = Some(provider.clone()),
            Event::Connecting { edge, transport } => {
                self.state = format!("connecting to {edge} over {transport}")
            }
            Event::Ready(ready) => {
                self.numbers.rtt_ms = ready.rtt_ms;
                self.ready = Some(ready.clone());
                self.state = "online".into();
            }
            Event::Visit(visit) => {
                self.visit_count += 1;
                self.visits
                    .push_back((visit.status, text::visit_line(visit)));
                if self.visits.len() > LAST_VISITS {
                    self.visits.pop_front();
                }
            }
            Event::Hint { message } => self.hint = Some(message.clone()),
            Event::Disconnected {
                reason, retry_ms, ..
            } => self.state = text::disconnected(reason, *retry_ms),
            Event::Stopped { reason } => self.state = format!("stopped: {reason}"),
            // Processes of a provider never draw.
            Event::Started(_)
            | Event::Config { .. }
            | Event::Refused { .. }
            | Event::Error { .. } => return,
        }
        self.draw();
    }

    pub(crate) fn tick(&mut self, numbers: Numbers) {
        if self.numbers != numbers {
            self.numbers = numbers;
            self.draw();
        }
    }

    fn draw(&mut self) {
        let width = terminal_size::terminal_size().map_or(DEFAULT_WIDTH, |(w, _)| usize::from(w.0));
        let lines = self.lines(width);
        let mut frame = String::new();
        if self.drawn > 0 {
            // Back to the first line of the last drawing, and clear from there.
            frame.push_str(&format!("\x1b[{}A\r\x1b[J", self.drawn));
        }
        for line in &lines {
            frame.push_str(line);
            frame.push('\n');
        }
        self.drawn = lines.len();
        let mut out = stdout().lock();
        let _ = out.write_all(frame.as_bytes()).and_then(|()| out.flush());
    }

    fn lines(&self, width: usize) -> Vec<String> {
        let mut lines = vec![String::new()];
        if let Some(ready) = &self.ready {
            for url in &ready.urls {
                lines.push(format!(
                    "  \x1b[1;36m{}\x1b[0m",
                    fit(url, width.saturating_sub(2))
                ));
            }
            lines.push(fit(&format!("  forwards to {}", ready.target), width));
        }
        lines.push(fit(&self.status(), width));
        for note in self
            .provider
            .iter()
            .flat_map(|p| &p.notes)
            .chain(&self.hint)
        {
            lines.push(format!(
                "  \x1b[33m{}\x1b[0m",
                fit(note, width.saturating_sub(2))
            ));
        }
        if let Some(provider) = &self.provider {
            lines.push(String::new());
            lines.extend(
                text::sharing_lines(provider)
                    .iter()
                    .map(|line| fit(line, width)),
            );
        }
        lines.push(String::new());
        lines.push(fit(&self.summary(), width));
        lines.extend(self.visits.iter().map(|(status, line)| {
            format!(
                "  {}{}\x1b[0m",
                colour(*status),
                fit(line, width.saturating_sub(2))
            )
        }));
        lines
    }

    fn status(&self) -> String {
        match (&self.ready, self.numbers.rtt_ms) {
            (Some(ready), rtt) if self.state == "online" => {
                let rtt = rtt.map_or_else(String::new, |ms| format!(", round trip {ms:.1} ms"));
                format!(
                    "  online at edge {} over {} ({}){rtt}",
                    ready.edge, ready.transport, ready.why
                )
            }
            _ => format!("  {}", self.state),
        }
    }

    fn summary(&self) -> String {
        let n = self.numbers;
        let (received, sent) = (text::bytes(n.bytes_in), text::bytes(n.bytes_out));
        format!(
            "{} requests, {} open, {received} received, {sent} sent (Ctrl-C stops)",
            self.visit_count, n.streams
        )
    }
}

const fn colour(status: u16) -> &'static str {
    match status {
        100..=399 => "\x1b[32m",
        400..=499 => "\x1b[33m",
        _ => "\x1b[31m",
    }
}
