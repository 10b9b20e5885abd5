//! Whether a process should be sent work, and if not, why.

use edge::{NotReady, Readiness};
use serde_json::{Value, json};

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
