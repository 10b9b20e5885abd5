//! Reads all that is precious from a store, page by page and at one revision.

use std::collections::VecDeque;

use model::{Revision, UnixTime};

use super::{FORMAT, Header, Writer, is_bookkeeping};
use crate::{
    Prefix, Range, Root, SharedStore, StoreError, layout,
    schema::{SCHEMA, Schema},
    typed,
};

/// Entries read at a time.
const PAGE: usize = 500;

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(
        "the store forgot the revision that the backup is of before it was read: try again when less is changed"
    )]
    Forgotten,
    #[error(transparent)]
    Store(StoreError),
}

/// A backup under way: [`Export::next`] gives its parts until there is none.
#[derive(Debug)]
pub struct Export {
    store: SharedStore,
    revision: Revision,
    ranges: VecDeque<Range>,
    writer: Option<Writer>,
    /// The header, until it is handed out.
    begun: Option<Vec<u8>>,
}

impl Export {
    pub async fn start(
        store: SharedStore,
        issuer: &str,
        now: UnixTime,
    ) -> Result<Self, ExportError> {
        let schema = typed::get::<Schema>(&*store, &layout::schema()).await?;
        // The revision of this read is the one of the whole backup.
        let first = store.read(&(&layout::schema()).into(), None, 1).await?;
        let (writer, line) = Writer::start(&Header {
            format: FORMAT,
            schema: schema.map_or(SCHEMA, |(schema, _)| schema.version),
            revision: first.revision,
            issuer: issuer.to_owned(),
            created: now,
        })?;
        Ok(Self {
            store,
            revision: first.revision,
            ranges: Root::ALL
                .iter()
                .map(|root| Range::from(&Prefix::from(*root)))
                .collect(),
            writer: Some(writer),
            begun: Some(line),
        })
    }

    /// The next bytes of the file; a part may be empty.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ExportError> {
        if let Some(line) = self.begun.take() {
            return Ok(Some(line));
        }
        let Some(range) = self.ranges.pop_front() else {
            let end = self.writer.take().map(Writer::finish);
            return Ok(end.transpose()?);
        };
        let page = self.store.read(&range, Some(self.revision), PAGE).await?;
        if let Some(rest) = page.next {
            self.ranges.push_front(rest);
        }
        let mut part = Vec::new();
        for entry in page.entries {
            let kept = entry.lease.is_none() && !is_bookkeeping(&entry.key);
            if let Some(writer) = self.writer.as_mut().filter(|_| kept) {
                part.extend(writer.entry(&entry.key, &entry.value)?);
            }
        }
        Ok(Some(part))
    }
}

impl From<StoreError> for ExportError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Compacted { .. } => Self::Forgotten,
            other => Self::Store(other),
        }
    }
}
