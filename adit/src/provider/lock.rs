//! One process a data directory: the second one says who runs and what to type instead.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure, OrFail};

const FILE: &str = "lock";
/// What the holder writes is far below this; the rest of a foreign file is not read.
const MAX_HOLDER: u64 = 4096;

/// Held as long as the process runs; the system releases it, also after `kill -9`.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    command: &'static str,
}

#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    #[serde(default)]
    command: String,
    server: String,
}

impl Lock {
    /// `command` is what holds it, as it is typed.
    pub(crate) fn take(data_dir: &Path, command: &'static str) -> Result<Self, Failure> {
        let path = data_dir.join(FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options
            .open(&path)
            .or_fail(Exit::Failed, format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file, command }),
            Err(TryLockError::WouldBlock) => Err(held(&mut file, data_dir, command)),
            Err(TryLockError::Error(error)) => Err(Failure::new(
                Exit::Failed,
                format!("cannot lock {}: {error}", path.display()),
            )),
        }
    }

    /// Tells the next one who is here.
    pub(crate) fn announce(&mut self, server: &str) -> Result<(), Failure> {
        let holder = Holder {
            pid: std::process::id(),
            command: self.command.to_owned(),
            server: server.to_owned(),
        };
        let json = serde_json::to_vec(&holder).or_fail(Exit::Failed, "cannot write the lock")?;
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&json)
        };
        write(&mut self.file).or_fail(Exit::Failed, "cannot write the lock")
    }
}

fn held(file: &mut File, data_dir: &Path, command: &str) -> Failure {
    let mut text = String::new();
    let read = file.take(MAX_HOLDER).read_to_string(&mut text);
    let holder: Option<Holder> = read.ok().and_then(|_| serde_json::from_str(&text).ok());
    let who = holder.map_or_else(
        || "another adit".to_owned(),
        |holder| {
            let command = if holder.command.is_empty() {
                "adit"
            } else {
                &holder.command
            };
            format!("{command} (process {}, {})", holder.pid, holder.server)
        },
    );
    Failure::new(
        Exit::InUse,
        format!("{who} runs in {} already", data_dir.display()),
    )
    .advise("share through it:      adit http 3000")
    .advise(format!("or run a second one:   {command} --data-dir DIR"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_learns_who_runs() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Lock::take(dir.path(), "adit dev").unwrap();
        first.announce("http://127.0.0.1:4470").unwrap();
        let failure = Lock::take(dir.path(), "adit dev").unwrap_err();
        assert_eq!(failure.exit(), Exit::InUse);
        let text = failure.to_string();
        assert!(
            text.contains(&std::process::id().to_string()) && text.contains("127.0.0.1:4470"),
            "{text}"
        );
        drop(first);
        assert!(Lock::take(dir.path(), "adit dev").is_ok());
    }
}
