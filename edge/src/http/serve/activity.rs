//! Whether a connection has anything to do. hyper closes idle connections of HTTP/1.1 by itself, but not of HTTP/2.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{Instant, sleep_until};

use crate::http::{HttpMetrics, Limits};

#[derive(Debug)]
pub(in crate::http) struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    requests: usize,
    asked: bool,
    /// The last change.
    since: Instant,
}

/// One request under way.
#[derive(Debug)]
pub(in crate::http) struct InFlight {
    activity: Arc<Activity>,
    gauge: Gauge,
}

impl Activity {
    pub(super) fn start() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            requests: 0,
            asked: false,
            since: Instant::now(),
        })))
    }

    pub(in crate::http) fn begin(self: &Arc<Self>, metrics: &HttpMetrics) -> InFlight {
        self.change(|state| {
            state.requests += 1;
            state.asked = true;
        });
        metrics.in_flight.inc();
        InFlight {
            activity: self.clone(),
            gauge: metrics.in_flight.clone(),
        }
    }

    /// Returns when there was nothing to do for too long; before the first request that is earlier.
    pub(super) async fn idle(&self, limits: &Limits) {
        self.quiet(|state| {
            if state.asked {
                limits.idle
            } else {
                limits.head
            }
        })
        .await;
    }

    pub(super) async fn at_rest(&self, time: Duration) {
        self.quiet(|_| time).await;
    }

    async fn quiet(&self, limit: impl Fn(&State) -> Duration) {
        loop {
            let (deadline, busy) =
                self.change_nothing(|state| (state.since + limit(state), state.requests > 0));
            let now = Instant::now();
            if deadline <= now && !busy {
                return;
            }
            // While requests are under way there is no deadline yet; look again after as long.
            let again = if busy {
                now + self.change_nothing(&limit)
            } else {
                deadline
            };
            sleep_until(again).await;
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        state.since = Instant::now();
    }

    fn change_nothing<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.activity
            .change(|state| state.requests = state.requests.saturating_sub(1));
        self.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_only_when_nothing_is_under_way() {
        let (limits, metrics) = (Limits::default(), HttpMetrics::default());
        let start = Instant::now();
        Activity::start().idle(&limits).await;
        assert_eq!(start.elapsed(), limits.head);

        let activity = Activity::start();
        let request = activity.begin(&metrics);
        let busy = tokio::time::timeout(limits.idle * 5, activity.idle(&limits)).await;
        assert!(busy.is_err());
        drop(request);
        let end = Instant::now();
        activity.idle(&limits).await;
        assert_eq!(end.elapsed(), limits.idle);
    }
}
