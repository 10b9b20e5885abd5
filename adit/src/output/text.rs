//! Sentences and columns that the terminal and the pipe share.

use super::event::{Event, Provider, Ready, Started, Visit};

/// The lines for a pipe; empty where an event says nothing new to a reader.
pub(crate) fn lines(event: &Event) -> Vec<String> {
    match event {
        Event::Provider(provider) => provider.notes.clone(),
        Event::Started(started) => started_lines(started),
        Event::Connecting { edge, transport } => {
            vec![format!("connecting to {edge} over {transport}")]
        }
        Event::Ready(ready) => ready_lines(ready),
        Event::Visit(visit) => vec![visit_line(visit)],
        Event::Hint { message } => vec![format!("hint: {message}")],
        Event::Disconnected {
            reason, retry_ms, ..
        } => vec![disconnected(reason, *retry_ms)],
        Event::Stopped { reason } => vec![format!("stopped: {reason}")],
        Event::Config {
            file,
            added,
            changed,
            removed,
            error,
        } => config_lines(file, [added, changed, removed], error.as_deref()),
        Event::Refused {
            reason, retry_ms, ..
        } => vec![refused(reason, *retry_ms)],
        // `main` prints errors, for every command alike.
        Event::Error { .. } => Vec::new(),
    }
}

pub(crate) fn disconnected(reason: &str, retry_ms: u64) -> String {
    format!(
        "disconnected: {reason}; trying again in {}",
        duration(retry_ms)
    )
}

pub(crate) fn refused(reason: &str, retry_ms: Option<u64>) -> String {
    match retry_ms {
        Some(ms) => format!("refused: {reason}; trying again in {}", duration(ms)),
        None => format!("refused: {reason}"),
    }
}

fn config_lines(file: &str, lists: [&Vec<String>; 3], error: Option<&str>) -> Vec<String> {
    if let Some(error) = error {
        return vec![format!("the file was not taken over: {error}")];
    }
    let named = ["new", "changed", "removed"].into_iter().zip(lists);
    let parts: Vec<_> = named
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what} {}", names.join(", ")))
        .collect();
    let what = if parts.is_empty() {
        "nothing has changed".to_owned()
    } else {
        parts.join("; ")
    };
    vec![format!("{file}: {what}")]
}

pub(crate) fn ready_lines(ready: &Ready) -> Vec<String> {
    let mut lines: Vec<String> = ready.urls.iter().map(|url| format!("  {url}")).collect();
    lines.push(format!("  forwards to {}", ready.target));
    lines
}

fn started_lines(started: &Started) -> Vec<String> {
    let mut lines = started.notes.clone();
    let listening = [
        ("https", &started.https),
        ("quic", &started.quic),
        ("http", &started.http),
        ("control plane", &started.control),
        ("admin", &started.admin),
    ];
    let listening = listening.iter().filter(|(_, at)| !at.is_empty());
    lines.extend(listening.map(|(what, at)| format!("listening: {what} on {}", at.join(", "))));
    let server = Some(&started.server).filter(|server| !server.is_empty());
    lines.push(server.map_or_else(
        || format!("adit {} is up", started.role),
        |server| format!("adit {} is up: {server}", started.role),
    ));
    lines
}

pub(crate) fn visit_line(visit: &Visit) -> String {
    format!(
        "{:<7} {}  {}  {}",
        visit.method,
        visit.path,
        visit.status,
        duration(visit.ms)
    )
}

/// How to share more through a provider on this machine.
pub(crate) fn sharing_lines(provider: &Provider) -> Vec<String> {
    vec![
        "Share something else from another terminal:".into(),
        "  adit http 3001       adit tcp 5432       adit http ./public --host files".into(),
        format!(
            "Browsers take the https address once they trust {} (adit dev --trust)",
            provider.ca.display()
        ),
    ]
}

pub(crate) fn duration(ms: u64) -> String {
    if ms < 1000 {
        format!("{ms} ms")
    } else {
        format!("{}.{} s", ms / 1000, ms % 1000 / 100)
    }
}

pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut tenths, mut unit) = (count, 0, 0);
    while whole >= 1024 && unit + 1 < UNITS.len() {
        (whole, tenths, unit) = (whole / 1024, whole % 1024 * 10 / 1024, unit + 1);
    }
    if unit == 0 {
        format!("{whole} B")
    } else {
        format!("{whole}.{tenths} {}", UNITS[unit])
    }
}

/// `text` cut to `width` columns, with control characters taken out: a path comes from a stranger and must not
/// steer the terminal.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    if clean.chars().count() <= width {
        return clean;
    }
    let mut cut: String = clean.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        let shown: Vec<_> = [0, 1023, 1024, 1536, 5 << 30].map(bytes).into();
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 GiB"]);
    }

    #[test]
    fn a_stranger_cannot_steer_the_terminal() {
        assert_eq!(fit("/\x1b[2Jboo", 20), "/?[2Jboo");
        assert_eq!(fit("abcdef", 4), "abc…");
    }
}
