//! One page of a range at one revision.

use super::{shared::View, tables};
use crate::{Entry, Page, Range, StoreError};

/// Entries of a page, whatever the caller asks for.
const MAX_PAGE: usize = 1000;
/// A page ends after this weight of entries, so that large values do not add up: one transaction's worth.
const MAX_PAGE_BYTES: usize = crate::MAX_TRANSACTION_BYTES;

/// Blocks on the disk.
pub(super) fn page(view: &View, range: &Range, limit: usize) -> Result<Page, StoreError> {
    let limit = limit.clamp(1, MAX_PAGE);
    // Where this stops short it has more than fits in a page, so the page ends before its last entry, and whatever `undo` has
    // behind that is cut off below.
    let (mut entries, complete) = unchanged(view, range, limit + 1)?;
    entries.extend(view.undo.values().flatten().cloned());
    entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    let kept = fitting(&entries, limit);
    let is_last = complete && kept == entries.len();
    entries.truncate(kept);
    let next = match entries.last() {
        Some(last) if !is_last => Some(range.clone().after(last.key.clone())),
        _ => None,
    };
    Ok(Page {
        revision: view.revision,
        entries,
        next,
    })
}

/// Up to `limit` of the entries that are now as they were then, and whether those are all.
fn unchanged(view: &View, range: &Range, limit: usize) -> Result<(Vec<Entry>, bool), StoreError> {
    let (first, end) = range.bounds();
    let (mut entries, mut weight) = (Vec::new(), 0);
    if first >= end {
        return Ok((entries, true));
    }
    for entry in tables::scan(&view.snapshot, &first, &end)? {
        let entry = entry?;
        if view.undo.contains_key(&entry.key) {
            continue;
        }
        weight += entry.weight();
        entries.push(entry);
        if entries.len() >= limit || weight > MAX_PAGE_BYTES {
            return Ok((entries, false));
        }
    }
    Ok((entries, true))
}

/// How many entries fit in a page; at least one, or there would be no progress.
fn fitting(entries: &[Entry], limit: usize) -> usize {
    let mut weight = 0;
    let fits = entries.iter().take_while(|entry| {
        weight += entry.weight();
        weight <= MAX_PAGE_BYTES
    });
    fits.count().clamp(1, limit).min(entries.len())
}
