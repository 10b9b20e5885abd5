//! Writes a backup, line by line.

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;

use super::{End, Header, Line, hex};
use crate::{Key, StoreError};

/// Each call gives the bytes that come next in the file.
pub struct Writer {
    hash: Context,
    entries: u64,
}

impl Writer {
    pub fn start(header: &Header) -> Result<(Self, Vec<u8>), StoreError> {
        let mut writer = Self {
            hash: Context::new(&SHA256),
            entries: 0,
        };
        let line = writer.hashed(header)?;
        Ok((writer, line))
    }

    /// Entries come in the order of their keys.
    pub fn entry(&mut self, key: &Key, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.entries += 1;
        self.hashed(&Line {
            key: key.to_string(),
            value: BASE64_STANDARD.encode(value),
        })
    }

    pub fn finish(self) -> Result<Vec<u8>, StoreError> {
        line(&End {
            entries: self.entries,
            sha256: hex(self.hash.finish().as_ref()),
        })
    }

    fn hashed<T: Serialize>(&mut self, value: &T) -> Result<Vec<u8>, StoreError> {
        let line = line(value)?;
        self.hash.update(&line);
        Ok(line)
    }
}

fn line<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let mut line =
        serde_json::to_vec(value).map_err(|error| StoreError::NotJson(error.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}
