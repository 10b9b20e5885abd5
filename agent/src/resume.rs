//! The secret with which an agent takes its session over again, kept over a restart.
//!
//! One file per provider and set of endpoints, mode 0600, in a directory of mode 0700. A lock beside it belongs to one
//! process at a time: a second one that shares the same endpoints goes without, so that it cannot cut off the first.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA256, digest};
use tunnel::Secret;

/// Longer than any secret of an edge; a larger file is not ours.
const MAX_LEN: u64 = 1024;

#[derive(Debug)]
pub(crate) struct ResumeFile {
    path: PathBuf,
    /// Unlocked when closed, which the kernel does for a process that is killed.
    _lock: File,
}

impl ResumeFile {
    /// The file for what `parts` name together. None when another process holds it.
    pub(crate) fn open(directory: &Path, parts: &[&str]) -> io::Result<Option<Self>> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let path = directory.join(file_name(parts));
        let lock = private(OpenOptions::new().write(true).create(true))
            .open(path.with_extension("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { path, _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// What was kept last; none at first, or when the file makes no sense.
    pub(crate) fn load(&self) -> Option<Secret> {
        let mut text = zeroize::Zeroizing::new(String::new());
        let file = File::open(&self.path).ok()?;
        file.take(MAX_LEN).read_to_string(&mut text).ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| Secret::from(text.to_owned()))
    }

    /// Replaces what was kept; a crash in between leaves the old or the new.
    pub(crate) fn keep(&self, secret: &Secret) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file =
            private(OpenOptions::new().write(true).create(true).truncate(true)).open(&new)?;
        file.write_all(secret.expose().as_bytes())?;
        drop(file);
        std::fs::rename(new, &self.path)
    }

    /// The secret is of no use any more: the session was ended on purpose.
    pub(crate) fn forget(&self) {
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(%error, "a used resume secret stays on disk");
        }
    }
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

fn file_name(parts: &[&str]) -> String {
    // A part cannot contain the separator: parts are URLs and names.
    let hash = digest(&SHA256, parts.join("\n").as_bytes());
    hash.as_ref()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_kept_private_and_for_one_process() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("resume");
        let parts = ["https://edge:1", "a.example"];
        let file = ResumeFile::open(&dir, &parts).unwrap().unwrap();
        assert!(file.load().is_none());
        file.keep(&Secret::from("one".to_owned())).unwrap();
        file.keep(&Secret::from("two".to_owned())).unwrap();
        assert!(ResumeFile::open(&dir, &parts).unwrap().is_none(), "held");
        assert!(ResumeFile::open(&dir, &["other"]).unwrap().is_some());
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file.path), 0o600);
        assert_eq!(mode(&dir), 0o700);

        drop(file);
        let again = ResumeFile::open(&dir, &parts).unwrap().unwrap();
        assert_eq!(again.load().unwrap().expose(), "two");
        again.forget();
        assert!(again.load().is_none());
    }
}
