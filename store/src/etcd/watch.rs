//! Beginning a watch: at one revision, on a member that has it, with nothing left out.

use std::{sync::Arc, time::Duration};

use etcd_client::{WatchOptions, WatchRequestSender, WatchResponseStream, proto::PbWatchResponse};
use model::Revision;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    failure::{Begun, Failure},
    gather::Gather,
    link::Link,
    links::Links,
    namespace,
    pump::Pump,
    read,
};
use crate::{Batch, Prefix, StoreError, Watch, WatchError, WatchSource};

/// From finding a member to its word that it watches.
const BEGIN_WITHIN: Duration = Duration::from_secs(8);
const BEGIN_ATTEMPT: Duration = Duration::from_secs(3);
/// Bytes of one message. Members cut events at what a request may have, by default 1.5 MiB, but an operator may have allowed more.
const MAX_MESSAGE: usize = 32 * 1024 * 1024;
/// Commits that wait for a slow watcher here; more wait with the member.
const BUFFER: usize = 256;

/// What was begun: a stream that has one watch.
pub(super) struct Running {
    pub(super) link: Arc<Link>,
    pub(super) requests: WatchRequestSender,
    pub(super) responses: WatchResponseStream,
}

/// The reader's end of the pump.
struct Outlet {
    batches: mpsc::Receiver<Result<Batch, WatchError>>,
    wanted: watch::Sender<Revision>,
}

pub(super) async fn start(
    links: &Arc<Links>,
    prefix: &Prefix,
    after: Revision,
) -> Result<Watch, StoreError> {
    let running = begin(links, prefix, after).await?;
    let (batches, outlet) = mpsc::channel(BUFFER);
    let wanted = watch::Sender::default();
    let pump = Pump {
        links: links.clone(),
        prefix: prefix.clone(),
        gather: Gather::new(after),
        out: batches,
        wanted: wanted.subscribe(),
    };
    tokio::spawn(pump.run(running));
    Ok(Watch::new(Outlet {
        batches: outlet,
        wanted,
    }))
}

#[async_trait::async_trait]
impl WatchSource for Outlet {
    async fn next(&mut self) -> Result<Batch, WatchError> {
        self.batches.recv().await.unwrap_or(Err(WatchError::Closed))
    }

    fn want(&mut self, revision: Revision) {
        self.wanted.send_replace(revision);
    }
}

pub(super) async fn begin(
    links: &Links,
    prefix: &Prefix,
    after: Revision,
) -> Result<Running, StoreError> {
    let folder = namespace::outer(links.prefix(), prefix.as_str());
    let (running, created) = create(links, &folder, true, after).await?;
    let there = namespace::revision(created.header.as_ref().map_or(0, |header| header.revision));
    if after > there {
        // The member may be behind the others, or we are ahead of all of them.
        let newest = read::newest(links).await?;
        if after > newest {
            return Err(StoreError::FutureRevision {
                wanted: after,
                newest,
            });
        }
    }
    Ok(running)
}

/// The oldest revision that can be read, when `wanted` cannot: a watch that begins there is told.
pub(super) async fn oldest(links: &Links, wanted: Revision) -> Revision {
    let at_least = wanted.next();
    let key = namespace::readable_by_all(links.prefix());
    let Ok((mut running, created)) = create(links, &key, false, wanted).await else {
        return at_least;
    };
    let mut response = Some(created);
    while let Some(told) = response {
        if told.compact_revision > 0 {
            return namespace::revision(told.compact_revision).max(at_least);
        }
        let next = tokio::time::timeout(BEGIN_ATTEMPT, running.responses.message());
        response = next
            .await
            .ok()
            .and_then(Result::ok)
            .flatten()
            .map(|next| next.0);
    }
    at_least
}

/// Once more with a new token: members say of a watch with an old one that it is not permitted.
async fn create(
    links: &Links,
    key: &[u8],
    folder: bool,
    after: Revision,
) -> Result<(Running, PbWatchResponse), StoreError> {
    let deadline = Instant::now() + BEGIN_WITHIN;
    let mut renewed = false;
    loop {
        let link = links.get(deadline).await.map_err(Failure::harmless)?;
        let renewals = link.renewals().await;
        let asked = links.over(&link, BEGIN_ATTEMPT, ask(&link, key, folder, after));
        let failure = match asked.await {
            Ok((running, created)) if !created.canceled || created.compact_revision > 0 => {
                return Ok((running, created));
            }
            Ok((_, created)) => canceled(&created),
            Err(failure) => failure,
        };
        match failure {
            Failure::Token(_) | Failure::Refused(_) if !renewed => {
                renewed = true;
                if !link
                    .renew(renewals, &links.tally)
                    .await
                    .map_err(Failure::harmless)?
                {
                    return Err(failure.harmless());
                }
            }
            Failure::Away { .. } if Instant::now() < deadline => {}
            failure => return Err(failure.harmless()),
        }
    }
}

async fn ask(
    link: &Arc<Link>,
    key: &[u8],
    folder: bool,
    after: Revision,
) -> Result<(Running, PbWatchResponse), etcd_client::Error> {
    // From the revision that was seen last, not the next: etcd up to 3.5.17 leaves out what was deleted at the very revision that
    // was compacted, and this way a watch that would meet that is told `Compacted`.
    let mut options = WatchOptions::new()
        .with_start_revision(namespace::number(after).max(1))
        .with_fragment()
        .with_progress_notify();
    if folder {
        options = options.with_prefix();
    }
    let mut client = link
        .client()
        .watch_client()
        .max_decoding_message_size(MAX_MESSAGE);
    let (requests, mut responses) = client.watch(key, Some(options)).await?.split();
    let Some(created) = responses.message().await? else {
        return Err(etcd_client::Error::WatchError(
            "the member ended the stream".into(),
        ));
    };
    let running = Running {
        link: link.clone(),
        requests,
        responses,
    };
    Ok((running, created.0))
}

/// Why a member ended a watch.
pub(super) fn canceled(response: &PbWatchResponse) -> Failure {
    let reason = &response.cancel_reason;
    if reason.contains("auth token") || reason.contains("auth store is old") {
        Failure::Token(reason.clone())
    } else if reason.contains("permission denied") {
        Failure::Refused(format!("etcd's user may not watch this ({reason})"))
    } else {
        Failure::away(format!("the watch was ended: {reason:?}"), Begun::No)
    }
}
