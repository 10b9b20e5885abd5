//! Pages of a range.

use std::time::Duration;

use etcd_client::{GetOptions, proto::PbRangeResponse};
use model::Revision;

use super::{
    failure::Failure,
    links::{Links, Patience},
    namespace, watch,
};
use crate::{Entry, Page, Range, StoreError};

/// Long enough for a full page over a slow line, and for an election in between.
const READ: Patience = Patience {
    attempt: Duration::from_secs(3),
    whole: Duration::from_secs(6),
};
/// Bytes of one message: a page of five hundred certificates, and more than any value can have. A page that is larger is asked for
/// again in smaller ones.
pub(super) const MAX_MESSAGE: usize = 32 * 1024 * 1024;

pub(super) async fn page(
    links: &Links,
    range: &Range,
    at: Option<Revision>,
    limit: usize,
) -> Result<Page, StoreError> {
    let (first, end) = range.bounds();
    let end = namespace::outer(links.prefix(), &end);
    let mut from = namespace::outer(links.prefix(), &first);
    let (mut entries, mut revision) = (Vec::new(), at);
    loop {
        let rows = rows(links, &from, &end, revision, limit).await?;
        let answered = rows.header.as_ref().map_or(0, |header| header.revision);
        let revision = *revision.get_or_insert_with(|| namespace::revision(answered));
        let last = rows.kvs.last().map(|row| row.key.clone());
        let found = entries.len();
        entries.extend(ours(links, rows.kvs));
        let (true, Some(last)) = (rows.more, last) else {
            return Ok(page_of(revision, entries, None));
        };
        if entries.len() > found {
            let next = entries
                .last()
                .map(|entry| range.clone().after(entry.key.clone()));
            return Ok(page_of(revision, entries, next));
        }
        // A page full of keys that are none of ours.
        from = [&last[..], b"\0"].concat();
    }
}

fn page_of(revision: Revision, entries: Vec<Entry>, next: Option<Range>) -> Page {
    Page {
        revision,
        entries,
        next,
    }
}

fn ours(links: &Links, rows: Vec<etcd_client::proto::PbKeyValue>) -> impl Iterator<Item = Entry> {
    rows.into_iter().filter_map(|row| {
        let entry = namespace::entry(links.prefix(), row);
        if entry.is_none() {
            links.tally.foreign_keys.up();
        }
        entry
    })
}

async fn rows(
    links: &Links,
    from: &[u8],
    end: &[u8],
    at: Option<Revision>,
    limit: usize,
) -> Result<PbRangeResponse, StoreError> {
    let mut limit = i64::try_from(limit.max(1)).unwrap_or(i64::MAX);
    loop {
        let options = GetOptions::new()
            .with_range(end)
            .with_limit(limit)
            .with_revision(at.map_or(0, namespace::number));
        let asked = links.repeat(READ, |client| {
            let options = options.clone();
            async move {
                let mut kv = client.kv_client().max_decoding_message_size(MAX_MESSAGE);
                kv.get(from, Some(options)).await
            }
        });
        match asked.await {
            Ok(answer) => return Ok(answer.0),
            Err(Failure::TooLarge) if limit > 1 => {
                links.tally.pages_shrunk.up();
                limit /= 4;
                limit = limit.max(1);
            }
            Err(failure) => return Err(explained(links, failure, at).await),
        }
    }
}

async fn explained(links: &Links, failure: Failure, at: Option<Revision>) -> StoreError {
    let wanted = at.unwrap_or_default();
    match failure {
        Failure::Compacted => links.compacted(watch::oldest(links, wanted).await),
        Failure::FutureRevision => match newest(links).await {
            Ok(newest) => StoreError::FutureRevision { wanted, newest },
            Err(error) => error,
        },
        failure => failure.harmless(),
    }
}

/// From a quorum, so that it is not what a member that lags behind believes.
pub(super) async fn newest(links: &Links) -> Result<Revision, StoreError> {
    let asked = links.repeat(READ, |client| async move {
        let options = GetOptions::new().with_count_only();
        let key = namespace::readable_by_all(links.prefix());
        client.kv_client().get(key, Some(options)).await
    });
    let answer = asked.await.map_err(Failure::harmless)?;
    Ok(namespace::revision(
        answer.header().map_or(0, |header| header.revision()),
    ))
}
