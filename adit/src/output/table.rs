//! A table of tunnels at the foot of a terminal, drawn anew on each change.

use std::{collections::BTreeMap, io::Write};

use super::{
    Numbers,
    event::Event,
    text::{self, fit},
};

/// Used where the terminal does not tell its size.
const DEFAULT_SIZE: (usize, usize) = (80, 24);
/// Lines that are not rows: blank, head, session, note, summary.
const OTHER_LINES: usize = 6;

#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: BTreeMap<String, Row>,
    session: String,
    note: Option<String>,
    numbers: Numbers,
    drawn: usize,
}

#[derive(Debug, Default)]
struct Row {
    state: State,
    address: String,
    target: String,
    requests: u64,
    /// Why it is not online.
    reason: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Starting,
    Online,
    Offline,
    Refused,
}

impl State {
    const fn shown(self) -> (&'static str, &'static str) {
        match self {
            Self::Starting => ("\x1b[33m", "starting"),
            Self::Online => ("\x1b[32m", "online"),
            Self::Offline => ("\x1b[33m", "offline"),
            Self::Refused => ("\x1b[31m", "refused"),
        }
    }
}

impl Table {
    pub(crate) fn show(&mut self, tunnel: Option<&str>, event: &Event) {
        match tunnel {
            Some(tunnel) => self.of_tunnel(tunnel, event),
            None => self.of_all(event),
        }
        self.draw();
    }

    pub(crate) fn tick(&mut self, numbers: Numbers) {
        if self.numbers != numbers {
            self.numbers = numbers;
            self.draw();
        }
    }

    fn of_tunnel(&mut self, tunnel: &str, event: &Event) {
        if let Event::Stopped { .. } = event {
            self.rows.remove(tunnel);
            return;
        }
        let row = self.rows.entry(tunnel.to_owned()).or_default();
        match event {
            Event::Ready(ready) => {
                row.state = State::Online;
                row.address = ready
                    .urls
                    .first()
                    .cloned()
                    .unwrap_or_else(|| ready.name.clone());
                row.target.clone_from(&ready.target);
                row.reason.clear();
                self.session = format!(
                    "session {} at edge {} over {} ({})",
                    ready.session, ready.edge, ready.transport, ready.why
                );
            }
            Event::Refused {
                reason, retry_ms, ..
            } => {
                row.state = State::Refused;
                row.reason = text::refused(reason, *retry_ms);
            }
            Event::Visit(_) => row.requests += 1,
            Event::Hint { message } => self.note = Some(format!("{tunnel}: {message}")),
            _ => {}
        }
    }

    fn of_all(&mut self, event: &Event) {
        match event {
            Event::Config { added, error, .. } => {
                for name in added {
                    self.rows.entry(name.clone()).or_default();
                }
                self.note.clone_from(error);
            }
            Event::Connecting { edge, transport } => {
                self.session = format!("connecting to {edge} over {transport}");
            }
            Event::Disconnected {
                reason, retry_ms, ..
            } => {
                self.session = text::disconnected(reason, *retry_ms);
                for row in self
                    .rows
                    .values_mut()
                    .filter(|row| row.state == State::Online)
                {
                    row.state = State::Offline;
                }
            }
            Event::Stopped { reason } => self.session = format!("stopped: {reason}"),
            Event::Hint { message } => self.note = Some(message.clone()),
            _ => {}
        }
    }

    fn draw(&mut self) {
        let size = terminal_size::terminal_size();
        let (width, height) = size.map_or(DEFAULT_SIZE, |(w, h)| (w.0.into(), h.0.into()));
        let lines = self.lines(width, height);
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
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(frame.as_bytes()).and_then(|()| out.flush());
    }

    fn lines(&self, width: usize, height: usize) -> Vec<String> {
        let names = self.rows.keys().map(|name| name.chars().count());
        let name_width = names.max().unwrap_or(0).max(6);
        let mut lines = vec![String::new()];
        let head = format!(
            "  {:<name_width$}  {:<8}  {:>8}  ADDRESS",
            "TUNNEL", "STATE", "REQUESTS"
        );
        lines.push(fit(&head, width));
        let room = height.saturating_sub(OTHER_LINES).max(1);
        // What needs attention comes first where there is no room for all.
        let mut rows: Vec<_> = self.rows.iter().collect();
        if rows.len() > room {
            rows.sort_by_key(|(_, row)| row.state == State::Online);
        }
        for (name, row) in rows.iter().take(room) {
            let (colour, state) = row.state.shown();
            let what = if row.reason.is_empty() && !row.address.is_empty() {
                format!("{} -> {}", row.address, row.target)
            } else {
                row.reason.clone()
            };
            let rest = format!("  {:>8}  {what}", row.requests);
            let rest = fit(&rest, width.saturating_sub(name_width + 12));
            lines.push(format!(
                "  {name:<name_width$}  {colour}{state:<8}\x1b[0m{rest}"
            ));
        }
        if rows.len() > room {
            lines.push(format!("  and {} more", rows.len() - room));
        }
        lines.push(fit(&format!("  {}", self.session), width));
        if let Some(note) = &self.note {
            let note = fit(note, width.saturating_sub(2));
            lines.push(format!("  \x1b[33m{note}\x1b[0m"));
        }
        lines.push(fit(&self.summary(), width));
        lines
    }

    fn summary(&self) -> String {
        let n = self.numbers;
        let online = self.rows.values().filter(|row| row.state == State::Online);
        let rtt = n
            .rtt_ms
            .map_or_else(String::new, |ms| format!(", round trip {ms:.1} ms"));
        format!(
            "  {} of {} online, {} open, {} received, {} sent{rtt} (Ctrl-C stops)",
            online.count(),
            self.rows.len(),
            n.streams,
            text::bytes(n.bytes_in),
            text::bytes(n.bytes_out)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(added: &[&str]) -> Event {
        Event::Config {
            file: "adit.toml".into(),
            added: added.iter().map(ToString::to_string).collect(),
            changed: Vec::new(),
            removed: Vec::new(),
            error: None,
        }
    }

    #[test]
    fn what_needs_attention_is_shown_where_there_is_no_room_for_all() {
        let mut table = Table::default();
        let names: Vec<String> = (0..30).map(|n| format!("t{n:02}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        table.of_all(&config(&names));
        for row in table.rows.values_mut() {
            row.state = State::Online;
        }
        let refused = Event::Refused {
            name: "refused".into(),
            reason: "t29.example belongs to another account".into(),
            retry_ms: Some(2000),
        };
        table.of_tunnel("t29", &refused);
        let lines = table.lines(60, 16);
        assert!(lines.len() <= 16, "{lines:#?}");
        assert!(
            lines[2].contains("t29") && lines[2].contains("refused"),
            "{lines:#?}"
        );
        assert!(
            lines.iter().any(|line| line.contains("and 20 more")),
            "{lines:#?}"
        );
        assert!(lines.last().unwrap().contains("29 of 30 online"));
        table.of_tunnel(
            "t29",
            &Event::Stopped {
                reason: String::new(),
            },
        );
        assert_eq!(table.rows.len(), 29);
    }
}
