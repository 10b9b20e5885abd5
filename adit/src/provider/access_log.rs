//! The access log as a file: one JSON object a line, written by a thread of its own.

use std::{
    fs::{File, OpenOptions},
    io::{BufWriter, Write},
    path::Path,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};

use edge::{AccessLog, Connection, Visit, VisitLog};
use serde::Serialize;

use crate::failure::{Exit, Failure, OrFail};

/// Lines that wait for the disk. A disk that is slower than the visits for longer than this loses lines, not visits.
const QUEUE: usize = 4096;

/// Hands lines to the writer; dropped lines are counted and named in the log once there is room again.
#[derive(Debug)]
pub(crate) struct AccessLogFile {
    lines: SyncSender<String>,
    dropped: AtomicU64,
}

/// Ends when the last [`AccessLogFile`] is gone; joined so that the last lines are on disk.
#[derive(Debug)]
pub(crate) struct Writer(JoinHandle<()>);

impl Writer {
    pub(crate) fn finish(self) {
        // A panic in the writer has been printed already, and there is no line left to save.
        let _ = self.0.join();
    }
}

pub(crate) fn open(path: &Path) -> Result<(AccessLogFile, Writer), Failure> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options
        .open(path)
        .or_fail(Exit::Failed, format!("cannot open {}", path.display()))?;
    let (lines, incoming) = sync_channel(QUEUE);
    let writer = thread::spawn(move || write_all(file, &incoming));
    Ok((
        AccessLogFile {
            lines,
            dropped: AtomicU64::new(0),
        },
        Writer(writer),
    ))
}

impl AccessLog for AccessLogFile {
    fn visit(&self, visit: &Visit) {
        self.write(visit);
    }
}

impl VisitLog for AccessLogFile {
    fn connection(&self, connection: &Connection) {
        self.write(connection);
    }
}

impl AccessLogFile {
    fn write(&self, record: &impl Serialize) {
        match serde_json::to_string(record) {
            Ok(line) => self.push(line),
            Err(error) => tracing::warn!(%error, "a visit cannot be written down"),
        }
    }

    fn push(&self, line: String) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0
            && self
                .lines
                .try_send(format!("{{\"dropped\":{dropped}}}"))
                .is_err()
        {
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
        if let Err(TrySendError::Full(_)) = self.lines.try_send(line) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes what is there and flushes whenever nothing waits, so that a reader sees a visit at once.
fn write_all(file: File, incoming: &Receiver<String>) {
    let mut out = BufWriter::new(file);
    while let Ok(first) = incoming.recv() {
        let mut next = Some(first);
        while let Some(line) = next {
            if let Err(error) = writeln!(out, "{line}") {
                tracing::warn!(%error, "the access log cannot be written");
            }
            next = incoming.try_recv().ok();
        }
        if let Err(error) = out.flush() {
            tracing::warn!(%error, "the access log cannot be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_on_disk_when_the_writer_has_finished() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let (log, writer) = open(&path).unwrap();
        for n in 0..100 {
            log.push(format!("{{\"n\":{n}}}"));
        }
        drop(log);
        writer.finish();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().count(), 100);
        assert!(text.ends_with("{\"n\":99}\n"));
    }
}
