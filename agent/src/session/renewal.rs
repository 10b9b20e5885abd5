//! When a session's token is renewed, and the asking for the new one, which must not hold up the control loop.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use model::UnixTime;
use tokio::time::Instant;
use tunnel::message::Bind;

use super::open::wall_clock;
use crate::{
    Issued, TokenSourceError, TokenSourceErrorKind, TokenWhy, policy::refresh, shared::Shared,
};

/// When the edge has not answered a new token by then, another one is tried.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What became of a question, and what was wanted when it was asked.
pub(super) struct Asked {
    pub(super) result: Result<Issued, TokenSourceError>,
    pub(super) wanted: Arc<[Bind]>,
}

pub(super) struct Renewal {
    /// None for a source that has one token only.
    at: Option<Instant>,
    asking: Option<BoxFuture<'static, Asked>>,
    failures: u32,
}

impl Renewal {
    pub(super) fn new(session_exp: UnixTime) -> Self {
        let mut renewal = Self {
            at: None,
            asking: None,
            failures: 0,
        };
        renewal.renewed(session_exp);
        renewal
    }

    /// The next token, in time. May be dropped and called again.
    pub(super) async fn next(&mut self, shared: &Shared) -> Asked {
        let asking = match &mut self.asking {
            Some(asking) => asking,
            None => {
                match self.at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
                let wanted = shared.wanted();
                let asked = shared.settings.ask_token(TokenWhy::Refresh);
                let asked = asked.map(move |result| Asked { result, wanted });
                self.asking.insert(asked.boxed())
            }
        };
        let result = asking.await;
        self.asking = None;
        self.at = Some(Instant::now() + ANSWER_TIMEOUT);
        result
    }

    /// Asks at once: what is wanted has grown beyond what the token is for. A question that is under way was asked before.
    pub(super) fn hasten(&mut self) {
        self.asking = None;
        self.at = Some(Instant::now());
    }

    pub(super) fn renewed(&mut self, session_exp: UnixTime) {
        self.asking = None;
        let wait = match refresh::first(wall_clock(), session_exp, rand::random()) {
            Some(wait) => {
                self.failures = 0;
                wait
            }
            // By our clock the new token was of no use; by the edge's, which counts, it may have been.
            None => {
                self.failures = self.failures.saturating_add(1);
                refresh::again(self.failures, rand::random())
            }
        };
        self.at = Some(Instant::now() + wait);
    }

    pub(super) fn failed(&mut self, kind: TokenSourceErrorKind) {
        self.failures = self.failures.saturating_add(1);
        let wait = refresh::again(self.failures, rand::random());
        self.at = (kind != TokenSourceErrorKind::Fixed).then(|| Instant::now() + wait);
    }
}
