//! A backup of all that is precious, as lines of JSON: a header, the entries in the order of their keys, and an end that says how
//! many there were and what they hash to.
//!
//! ```text
//! {"adit-backup":1,"schema":1,"revision":17,"issuer":"https://adit.example.com","created":1764111111}
//! {"key":"account/acc_1/profile","value":"eyJ..."}
//! {"entries":1,"sha256":"9f86..."}
//! ```
//!
//! Values are base64, byte by byte what the store held; those under `secret/` stay sealed, so the key-encryption key is needed to
//! restore them and must be kept apart. The hash is over every byte before the last line. What hangs on a lease is left out:
//! edges and sessions write it anew.

mod export;
mod read;
mod restore;
mod write;

use bytes::Bytes;
use model::{Revision, UnixTime};
use serde::{Deserialize, Serialize};

pub use self::{
    export::{Export, ExportError},
    read::{BackupError, read},
    restore::{Over, RestoreError, Restored, restore},
    write::Writer,
};
use crate::{Key, layout};

/// The version of the file's form.
pub const FORMAT: u32 = 1;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    #[serde(rename = "adit-backup")]
    pub format: u32,
    /// The store's schema version ([`crate::schema`]).
    pub schema: u32,
    /// The one revision that every entry is of.
    pub revision: Revision,
    pub issuer: String,
    pub created: UnixTime,
}

#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    /// Base64.
    value: String,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    entries: u64,
    sha256: String,
}

/// A backup that was read to its end and is whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Backup {
    pub header: Header,
    /// In the order of their keys.
    pub entries: Vec<(Key, Bytes)>,
    pub sha256: String,
}

/// `account/restore`: which backup is being restored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Marker {
    sha256: String,
}

/// What says something of the store and not of what is in it.
fn is_bookkeeping(key: &Key) -> bool {
    *key == layout::schema() || *key == layout::restore()
}

fn hex(digest: &[u8]) -> String {
    use std::fmt::Write;
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Values may be private, so a log gets their number.
impl std::fmt::Debug for Backup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backup")
            .field("header", &self.header)
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
