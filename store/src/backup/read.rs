//! Reads a backup and believes it only when it is whole. What is read may have been cut off, edited or be another file.

use std::io::{BufRead, Read};

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{Backup, End, FORMAT, Header, Line, hex, is_bookkeeping};
use crate::{
    EnvelopeError, Key, KeyError, MAX_TRANSACTION_BYTES, Root, SealedParts, schema::SCHEMA,
};

/// The longest line: an entry that fills a transaction, in base64, with room for its key.
const MAX_LINE: u64 = MAX_TRANSACTION_BYTES as u64 * 4 / 3 + 4096;
/// Bytes of all lines: they are held in memory until all is checked. A provider with a million endpoints is below it.
const MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("this is not a backup of adit")]
    NotOne,
    #[error("the backup has form {0}, this program knows {FORMAT}: use a newer adit")]
    Format(u32),
    #[error("the backup is of schema version {0}, this program knows {SCHEMA}: use a newer adit")]
    Schema(u32),
    #[error("line {line} is not valid: {reason}")]
    Line { line: u64, reason: String },
    #[error("the backup was cut off after {0} entries: its end is missing")]
    CutOff(u64),
    #[error("the end says that there are {said} entries, and there are {found}")]
    Count { said: u64, found: u64 },
    #[error("the backup was changed: its SHA-256 is not the one that its end says")]
    Changed,
    #[error("something follows the end of the backup")]
    Trailing,
    #[error("the backup is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("cannot read the backup: {0}")]
    Io(#[from] std::io::Error),
}

struct Lines<R> {
    from: R,
    number: u64,
    bytes: u64,
}

/// Reads to the end, and checks everything that can be checked without a store.
pub fn read(from: impl BufRead) -> Result<Backup, BackupError> {
    let mut lines = Lines {
        from,
        number: 0,
        bytes: 0,
    };
    let mut hash = Context::new(&SHA256);
    let first = lines.next()?.ok_or(BackupError::NotOne)?;
    let header = header(&first)?;
    hash.update(&first);
    let mut entries: Vec<(Key, Bytes)> = Vec::new();
    loop {
        let found = entries.len() as u64;
        let line = lines.next()?.ok_or(BackupError::CutOff(found))?;
        if let Ok(end) = parse::<End>(&line, lines.number) {
            check_end(&end, found, hash)?;
            let whole = match lines.next()? {
                None => Ok(()),
                Some(_) => Err(BackupError::Trailing),
            };
            return whole.map(|()| Backup {
                header,
                entries,
                sha256: end.sha256,
            });
        }
        hash.update(&line);
        let entry = entry(&line, lines.number, entries.last().map(|(key, _)| key))?;
        entries.push(entry);
    }
}

impl<R: BufRead> Lines<R> {
    /// The next line with its line end; a last line without one was cut off.
    fn next(&mut self) -> Result<Option<Vec<u8>>, BackupError> {
        let mut line = Vec::new();
        self.number += 1;
        self.from
            .by_ref()
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)?;
        self.bytes += line.len() as u64;
        if self.bytes > MAX_BYTES {
            return Err(BackupError::TooLarge);
        }
        match line.last() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(line)),
            Some(_) if line.len() as u64 == MAX_LINE => Err(BackupError::Line {
                line: self.number,
                reason: format!("it is longer than {MAX_LINE} bytes"),
            }),
            Some(_) => Ok(None),
        }
    }
}

fn header(line: &[u8]) -> Result<Header, BackupError> {
    // Only these two are asked for before the form is known: a newer one may have others.
    let value: serde_json::Value = serde_json::from_slice(line).map_err(|_| BackupError::NotOne)?;
    let number = |name: &str| value.get(name)?.as_u64();
    let format = number("adit-backup").ok_or(BackupError::NotOne)?;
    if format != u64::from(FORMAT) {
        return Err(BackupError::Format(
            u32::try_from(format).unwrap_or(u32::MAX),
        ));
    }
    let header: Header = parse(line, 1)?;
    if header.schema > SCHEMA {
        return Err(BackupError::Schema(header.schema));
    }
    Ok(header)
}

fn entry(line: &[u8], number: u64, last: Option<&Key>) -> Result<(Key, Bytes), BackupError> {
    let Line { key, value } = parse(line, number)?;
    let key: Key = key.parse().map_err(|error: KeyError| BackupError::Line {
        line: number,
        reason: error.to_string(),
    })?;
    let refused = |reason: &str| BackupError::Line {
        line: number,
        reason: format!("{key}: {reason}"),
    };
    if is_bookkeeping(&key) {
        return Err(refused("this key is no part of a backup"));
    }
    if last.is_some_and(|last| *last >= key) {
        return Err(refused("the entries are not in the order of their keys"));
    }
    let value = BASE64_STANDARD
        .decode(value)
        .map_err(|_| refused("the value is not base64"))?;
    if key.as_str().len() + value.len() > MAX_TRANSACTION_BYTES {
        return Err(refused("the value is larger than a store takes"));
    }
    if key.root() == Root::Secret {
        let sealed = SealedParts::decode(&value);
        sealed.map_err(|error: EnvelopeError| refused(&error.to_string()))?;
    }
    Ok((key, value.into()))
}

fn check_end(end: &End, found: u64, hash: Context) -> Result<(), BackupError> {
    if end.sha256 != hex(hash.finish().as_ref()) {
        return Err(BackupError::Changed);
    }
    if end.entries != found {
        return Err(BackupError::Count {
            said: end.entries,
            found,
        });
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(line: &[u8], number: u64) -> Result<T, BackupError> {
    serde_json::from_slice(line).map_err(|error| BackupError::Line {
        line: number,
        reason: error.to_string(),
    })
}
