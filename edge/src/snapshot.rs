//! What an edge needs to start while everything else is down, kept in a file: what it was told when it joined, and the public
//! facts.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use model::{Hostname, UnixTime};
use serde::{Deserialize, Serialize};
use store::{Replica, Seed, Snapshot};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{bounds::SNAPSHOT_EVERY, metrics::Metrics, route::Follow};

/// What an edge is told when it joins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    pub issuer: String,
    pub audience: String,
    pub zone: Hostname,
    /// Names that are forwarded to the control plane, and where that is.
    pub reserved: Vec<Hostname>,
    pub forward: Vec<String>,
    /// Both zero where there are none.
    pub first_tcp_port: u16,
    pub last_tcp_port: u16,
}

/// Where it is kept, and with what it begins.
#[derive(Clone, Debug)]
pub struct SnapshotConfig {
    pub path: PathBuf,
    /// The last answer to a join.
    pub joined: watch::Receiver<Joined>,
    pub found: Option<FoundSnapshot>,
}

/// A snapshot of an earlier run.
#[derive(Clone, Debug)]
pub struct FoundSnapshot {
    pub joined: Joined,
    snapshot: Snapshot,
}

impl FoundSnapshot {
    /// The one in the file, if there is one that can be used. Blocks on the disk.
    pub fn read(path: &Path) -> Option<Self> {
        let snapshot = Snapshot::read_or_put_aside(path)?;
        match serde_json::from_value(snapshot.about.clone()) {
            Ok(joined) => Some(Self { joined, snapshot }),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the snapshot is not one of an edge");
                None
            }
        }
    }

    pub(crate) fn seed(self, now: UnixTime) -> Seed {
        let Snapshot {
            revision,
            taken,
            entries,
            ..
        } = self.snapshot;
        Seed {
            entries,
            revision,
            age: std::time::Duration::from_secs(now.as_secs().saturating_sub(taken.as_secs())),
        }
    }
}

/// Writes what changes, not more often than a disk likes, and a last time at the end.
pub(crate) async fn keep(
    config: SnapshotConfig,
    facts: Arc<Replica<Follow>>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let mut keeper = Keeper {
        path: config.path,
        joined: config.joined,
        facts,
        metrics,
        written: None,
    };
    stop.run_until_cancelled(keeper.run()).await;
    keeper.write().await;
}

/// Which facts, and which answer.
type Content = (u64, Joined);

struct Keeper {
    path: PathBuf,
    joined: watch::Receiver<Joined>,
    facts: Arc<Replica<Follow>>,
    metrics: Metrics,
    written: Option<Content>,
}

impl Keeper {
    async fn run(&mut self) {
        let mut changes = self.facts.changes();
        let mut joined = self.joined.clone();
        loop {
            changes.borrow_and_update();
            joined.borrow_and_update();
            self.write().await;
            sleep_until(Instant::now() + SNAPSHOT_EVERY).await;
            let changed = tokio::select! {
                changed = changes.changed() => changed,
                changed = joined.changed() => changed,
            };
            if changed.is_err() {
                // One of the two has ended, and so will this.
                return std::future::pending().await;
            }
        }
    }

    /// Nothing where nothing is known yet, or nothing has changed.
    async fn write(&mut self) {
        if !self.facts.is_synced() {
            return;
        }
        let joined = self.joined.borrow().clone();
        let revision = self.facts.revision();
        let (version, entries) = self.facts.read(|follow| follow.kept());
        let content = (version, joined);
        if self.written.as_ref() == Some(&content) {
            return;
        }
        let about = serde_json::to_value(&content.1).unwrap_or_default();
        let snapshot = Snapshot {
            revision,
            taken: SystemTime::now().into(),
            about,
            entries,
        };
        let path = self.path.clone();
        let writing = tokio::task::spawn_blocking(move || snapshot.write(&path)).await;
        match writing {
            Ok(Ok(())) => {
                self.metrics.snapshots.inc();
                self.written = Some(content);
            }
            Ok(Err(error)) => {
                self.metrics.snapshot_failures.inc();
                tracing::warn!(%error, "the snapshot cannot be written");
            }
            // A panic has been printed already.
            Err(_) => {
                self.metrics.snapshot_failures.inc();
            }
        }
    }
}
