//! Notices that the file has changed: by looking at it, which works on every file system and through the symlinks of a
//! kubernetes ConfigMap, and on SIGHUP.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use crate::{credentials, failure::Failure};

/// How often the file is looked at. It is read when two looks in a row saw the same, so that a file which is being
/// written is not read half way.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What tells one state of a file from another without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    modified: SystemTime,
    size: u64,
    /// Another file may have come to the same name, with the same size and time.
    file: u64,
}

/// The text of the file, or why it cannot be read.
pub(super) type Reading = Result<String, Failure>;

/// When to read. Pure: looks go in.
#[derive(Debug)]
struct Steady {
    read: Option<Look>,
    last: Option<Look>,
}

/// Follows the file until nobody listens.
pub(super) fn follow(path: PathBuf) -> watch::Receiver<Reading> {
    let (readings, out) = watch::channel(Ok(String::new()));
    let mut steady = Steady::from(look(&path).ok());
    tokio::spawn(async move {
        let mut hangups = Hangups::new();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_due = tokio::select! {
                () = readings.closed() => return,
                () = hangups.next() => true,
                _ = looks.tick() => steady.look(look(&path).ok()),
            };
            if is_due {
                let _ = readings.send_replace(credentials::read_bounded(&path));
            }
        }
    });
    out
}

impl From<Option<Look>> for Steady {
    fn from(read: Option<Look>) -> Self {
        let last = read.clone();
        Self { read, last }
    }
}

impl Steady {
    /// True when the file is another one than the one that was read, and has come to rest. One that is missing is waited for.
    fn look(&mut self, now: Option<Look>) -> bool {
        let rests = now.is_some() && now == self.last;
        let is_new = now != self.read;
        self.last = now;
        if rests && is_new {
            self.read = self.last.clone();
        }
        rests && is_new
    }
}

fn look(path: &Path) -> io::Result<Look> {
    use std::os::unix::fs::MetadataExt;

    let metadata = fs::metadata(path)?;
    Ok(Look {
        modified: metadata.modified()?,
        size: metadata.len(),
        file: metadata.ino(),
    })
}

struct Hangups(Option<tokio::signal::unix::Signal>);

impl Hangups {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self(signal(SignalKind::hangup()).ok())
    }

    async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => {
                if signal.recv().await.is_none() {
                    self.0 = None;
                }
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(size: u64) -> Option<Look> {
        Some(Look {
            modified: SystemTime::UNIX_EPOCH,
            size,
            file: 1,
        })
    }

    #[test]
    fn a_file_is_read_when_it_has_come_to_rest() {
        let mut steady = Steady::from(state(1));
        assert!(!steady.look(state(1)), "as it was read");
        // Emptied, half written, whole.
        for size in [0, 5, 9] {
            assert!(!steady.look(state(size)));
        }
        assert!(steady.look(state(9)));
        assert!(!steady.look(state(9)), "once");
        // Missing for a while, and back as it was.
        assert!(!steady.look(None) && !steady.look(None));
        assert!(!steady.look(state(9)) && !steady.look(state(9)));
    }

    #[test]
    fn a_file_that_comes_by_rename_or_symlink_is_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        fs::write(&one, "same").unwrap();
        fs::write(&two, "same").unwrap();
        let time = fs::metadata(&one).unwrap().modified().unwrap();
        fs::File::open(&two).unwrap().set_modified(time).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&one, &link).unwrap();
        let before = look(&link).unwrap();
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&two, &link).unwrap();
        assert_ne!(look(&link).unwrap(), before);
        fs::rename(&one, &link).unwrap();
        assert_eq!(
            look(&link).unwrap(),
            before,
            "the first file, under its new name"
        );
    }
}
