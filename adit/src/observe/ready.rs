//! Whether a process should be sent work, and if not, why.

use edge::{NotReady, Readiness};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// What `/ready` asks.
pub(crate) trait Ready: Send + Sync + 'static {
    /// Why not; a stable word.
    fn not_ready(&self) -> Option<&'static str>;

    /// What `?verbose` tells beside it.
    fn details(&self) -> Value;
}

impl Ready for Readiness {
    fn not_ready(&self) -> Option<&'static str> {
        self.reason().map(NotReady::as_str)
    }

    fn details(&self) -> Value {
        let standing = self.standing();
        json!({
            "synced": standing.synced,
            "draining": standing.draining,
            "revision": standing.revision.0,
            "store_lost_seconds": standing.store_lost.map(|lost| lost.as_secs()),
            "sessions": standing.sessions,
        })
    }
}

/// A control plane that is told to stop takes no more calls.
#[derive(Clone, Debug)]
pub(crate) struct OfControlPlane {
    pub(crate) readiness: control_plane::Readiness,
    pub(crate) stop: CancellationToken,
}

impl Ready for OfControlPlane {
    fn not_ready(&self) -> Option<&'static str> {
        if self.stop.is_cancelled() {
            Some(NotReady::Draining.as_str())
        } else if self.readiness.is_ready() {
            None
        } else {
            Some(NotReady::NeverSynced.as_str())
        }
    }

    fn details(&self) -> Value {
        json!({ "keys": self.readiness.is_ready(), "draining": self.stop.is_cancelled() })
    }
}

/// An edge that has never heard of its provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotJoined;

impl Ready for NotJoined {
    fn not_ready(&self) -> Option<&'static str> {
        Some("not-joined")
    }

    fn details(&self) -> Value {
        json!({ "joined": false })
    }
}
