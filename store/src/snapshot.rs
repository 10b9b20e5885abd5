//! Entries in a file, for a start while the store is away: where they were, when, and a checksum over all of it.
//!
//! One line of JSON says what the file is, one line each entry, and the last line holds the hash of everything before it.
//! What is not exactly that is no snapshot: it is put aside, and the process starts as if there were none.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use model::{Revision, UnixTime};
use serde::{Deserialize, Serialize};

use crate::{Entry, Key};

const FORMAT: &str = "adit-snapshot";
const VERSION: u16 = 1;
/// A million endpoints take some 300 MB; a larger file is not one of ours.
const MAX_FILE: u64 = 1 << 30;

/// Public entries as they were at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub revision: Revision,
    pub taken: UnixTime,
    /// What else its owner needs to start.
    pub about: serde_json::Value,
    pub entries: Vec<Entry>,
}

#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("it is no snapshot of this program: {0}")]
    Foreign(String),
    #[error("it is not whole: its checksum does not match")]
    Checksum,
    #[error(transparent)]
    Io(#[from] io::Error),
}

#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    version: u16,
    revision: u64,
    taken: UnixTime,
    entries: usize,
    about: serde_json::Value,
}

/// Leases are left out: they belong to those who keep them alive.
#[derive(Serialize, Deserialize)]
struct Row {
    key: String,
    value: String,
    created: u64,
    modified: u64,
}

#[derive(Serialize, Deserialize)]
struct Foot {
    sha256: String,
}

impl Snapshot {
    pub fn encode(&self) -> Result<Vec<u8>, SnapshotError> {
        let head = Head {
            format: FORMAT.into(),
            version: VERSION,
            revision: self.revision.0,
            taken: self.taken,
            entries: self.entries.len(),
            about: self.about.clone(),
        };
        let mut text = Vec::new();
        line(&mut text, &head)?;
        for entry in &self.entries {
            let row = Row {
                key: entry.key.to_string(),
                value: STANDARD.encode(&entry.value),
                created: entry.created.0,
                modified: entry.modified.0,
            };
            line(&mut text, &row)?;
        }
        let sha256 = hash(&text);
        line(&mut text, &Foot { sha256 })?;
        Ok(text)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let whole = bytes.strip_suffix(b"\n").ok_or(SnapshotError::Checksum)?;
        let end = whole.iter().rposition(|byte| *byte == b'\n');
        let (body, foot) = bytes.split_at(end.ok_or(SnapshotError::Checksum)? + 1);
        let foot: Foot = serde_json::from_slice(foot).map_err(|_| SnapshotError::Checksum)?;
        if foot.sha256 != hash(body) {
            return Err(SnapshotError::Checksum);
        }
        let mut lines = body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let head: Head = parse(lines.next().unwrap_or_default())?;
        if head.format != FORMAT || head.version != VERSION {
            return Err(foreign(format!("{} {}", head.format, head.version)));
        }
        let entries: Vec<_> = lines
            .map(|line| parse(line).and_then(entry))
            .collect::<Result<_, _>>()?;
        if entries.len() != head.entries {
            return Err(foreign("entries are missing"));
        }
        Ok(Self {
            revision: Revision(head.revision),
            taken: head.taken,
            about: head.about,
            entries,
        })
    }

    /// The one in the file, if there is a file.
    pub fn read(path: &Path) -> Result<Option<Self>, SnapshotError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(foreign("it is far too large"));
        }
        Self::decode(&bytes).map(Some)
    }

    /// As [`Self::read`]; what cannot be used is put aside, so that somebody may look at it and nothing stumbles over it again.
    pub fn read_or_put_aside(path: &Path) -> Option<Self> {
        match Self::read(path) {
            Ok(found) => found,
            Err(error) => {
                let aside = with_suffix(path, "broken");
                tracing::warn!(path = %path.display(), aside = %aside.display(), %error, "the snapshot is put aside");
                if let Err(error) = fs::rename(path, &aside) {
                    tracing::warn!(%error, "it cannot be moved");
                }
                None
            }
        }
    }

    /// Whole or not at all, also when the machine loses its power. Blocks on the disk.
    pub fn write(&self, path: &Path) -> Result<(), SnapshotError> {
        let bytes = self.encode()?;
        let fresh = with_suffix(path, "new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        #[cfg(unix)]
        if let Some(dir) = path.parent() {
            File::open(dir)?.sync_all()?;
        }
        Ok(())
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn entry(row: Row) -> Result<Entry, SnapshotError> {
    let key: Key = row.key.parse().map_err(foreign)?;
    let value = STANDARD.decode(&row.value).map_err(foreign)?;
    Ok(Entry {
        key,
        value: value.into(),
        created: Revision(row.created),
        modified: Revision(row.modified),
        lease: None,
    })
}

fn line(text: &mut Vec<u8>, value: &impl Serialize) -> Result<(), SnapshotError> {
    serde_json::to_writer(&mut *text, value).map_err(|error| SnapshotError::Io(error.into()))?;
    text.push(b'\n');
    Ok(())
}

fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, SnapshotError> {
    serde_json::from_slice(line).map_err(foreign)
}

fn foreign(reason: impl ToString) -> SnapshotError {
    SnapshotError::Foreign(reason.to_string())
}

fn hash(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest
        .as_ref()
        .iter()
        .fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let entry = (
            "public/[a-z]{1,8}/[a-z0-9.*]{1,12}",
            vec(any::<u8>(), 0..40),
            1..1000u64,
            0..1000u64,
        );
        let entry = entry.prop_filter_map("a key", |(key, value, created, more)| {
            Some(Entry {
                key: key.parse().ok()?,
                value: value.into(),
                created: Revision(created),
                modified: Revision(created + more),
                lease: None,
            })
        });
        vec(entry, 0..8)
    }

    fn snapshot(entries: Vec<Entry>) -> Snapshot {
        Snapshot {
            revision: Revision(7),
            taken: UnixTime::from_secs(1),
            about: serde_json::json!({"issuer": "https://adit.example"}),
            entries,
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(entries in entries()) {
            let snapshot = snapshot(entries);
            prop_assert_eq!(Snapshot::decode(&snapshot.encode().unwrap()).unwrap(), snapshot);
        }

        #[test]
        fn a_changed_or_missing_byte_is_noticed(entries in entries(), at in any::<proptest::sample::Index>(), bit in 0..8u8) {
            let bytes = snapshot(entries).encode().unwrap();
            let mut changed = bytes.clone();
            changed[at.index(bytes.len())] ^= 1 << bit;
            prop_assert!(Snapshot::decode(&changed).is_err());
            prop_assert!(Snapshot::decode(&bytes[..at.index(bytes.len())]).is_err());
        }
    }

    #[test]
    fn another_version_is_foreign() {
        let bytes = snapshot(Vec::new()).encode().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let body = text
            .lines()
            .next()
            .unwrap()
            .replace("\"version\":1", "\"version\":2")
            + "\n";
        let whole = format!("{body}{{\"sha256\":\"{}\"}}\n", hash(body.as_bytes()));
        let error = Snapshot::decode(whole.as_bytes()).unwrap_err();
        assert!(matches!(error, SnapshotError::Foreign(_)), "{error}");
    }

    #[test]
    fn a_broken_file_is_put_aside_and_a_missing_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("edge.snapshot");
        assert!(Snapshot::read(&path).unwrap().is_none());
        let kept = snapshot(Vec::new());
        kept.write(&path).unwrap();
        assert_eq!(Snapshot::read_or_put_aside(&path), Some(kept));
        fs::write(&path, b"half a fil").unwrap();
        assert_eq!(Snapshot::read_or_put_aside(&path), None);
        assert!(!path.exists() && dir.path().join("edge.snapshot.broken").exists());
    }
}
