//! A watch is a place in the shared history. It buffers nothing, so a slow watcher costs nothing until it is told `Compacted`.

use std::sync::Arc;

use async_trait::async_trait;
use model::Revision;
use tokio::sync::watch;

use super::{history::Since, shared::Shared};
use crate::{Batch, Prefix, StoreError, Watch, WatchError, WatchSource};

struct Place {
    shared: Arc<Shared>,
    changes: watch::Receiver<Revision>,
    prefix: Prefix,
    seen: Revision,
}

pub(super) fn start(
    shared: Arc<Shared>,
    prefix: Prefix,
    after: Revision,
) -> Result<Watch, StoreError> {
    if shared.stop.is_cancelled() {
        return Err(StoreError::Closed);
    }
    let newest = shared.newest();
    if after > newest {
        // Waiting for it would pass over what happens until then.
        return Err(StoreError::FutureRevision {
            wanted: after,
            newest,
        });
    }
    Ok(Watch::new(Place {
        changes: shared.changes(),
        shared,
        prefix,
        seen: after,
    }))
}

#[async_trait]
impl WatchSource for Place {
    async fn next(&mut self) -> Result<Batch, WatchError> {
        loop {
            if self.shared.stop.is_cancelled() {
                return Err(WatchError::Closed);
            }
            // Marked as seen before looking, so that a change in between wakes us.
            self.changes.mark_unchanged();
            match self.shared.since(&self.prefix, self.seen) {
                Since::Batch(batch) => {
                    self.seen = batch.revision;
                    return Ok(batch);
                }
                Since::Forgotten { oldest } => {
                    self.shared.tally.compacted.add(1);
                    return Err(WatchError::Compacted { oldest });
                }
                Since::Nothing => self.wait().await,
            }
        }
    }
}

impl Place {
    async fn wait(&mut self) {
        tokio::select! {
            () = self.shared.stop.cancelled() => {}
            // The sender lives in `shared`, so this cannot fail.
            _ = self.changes.changed() => {}
        }
    }
}
