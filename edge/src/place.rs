//! Writes down who is served here: one fact about the edge, one about each session, under leases that this task keeps alive.
//!
//! It brings the store to what the sessions are now, as often as it takes; no session ever waits for it.

mod ledger;

use std::{sync::Arc, time::Duration};

use model::EdgeFact;
use store::{Commit, LeaseId, SharedStore, StoreError, Transaction, Value, layout};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::ledger::Ledger;
use crate::{
    bounds::{
        LEASE_KEEP_ALIVE, LEASE_TTL, PLACEMENTS_PER_COMMIT, STORE_FAREWELL, STORE_RETRY,
        STORE_WITHIN,
    },
    metrics::{Hit, Metrics},
    session::Sessions,
};

#[derive(Debug)]
pub(crate) struct Placer {
    store: SharedStore,
    sessions: Arc<Sessions>,
    metrics: Metrics,
    edge: EdgeFact,
    /// Under which lease the edge's own fact stands, once it does.
    edge_lease: Option<LeaseId>,
    ledger: Ledger,
}

impl Placer {
    pub(crate) fn new(
        store: SharedStore,
        sessions: Arc<Sessions>,
        edge: EdgeFact,
        metrics: Metrics,
    ) -> Self {
        Self {
            store,
            sessions,
            metrics,
            edge,
            edge_lease: None,
            ledger: Ledger::default(),
        }
    }

    /// Until `stop`; then everything it has written is taken back.
    pub(crate) async fn run(mut self, draining: CancellationToken, stop: CancellationToken) {
        let mut alive = interval(LEASE_KEEP_ALIVE);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        stop.run_until_cancelled(self.keep_placing(&draining, &mut alive))
            .await;
        if timeout(STORE_FAREWELL, self.take_back()).await.is_err() {
            self.metrics.hit(Hit::StoreFarewell);
            tracing::warn!("the store does not answer; the edge's facts end with their leases");
        }
    }

    async fn keep_placing(&mut self, draining: &CancellationToken, alive: &mut Interval) {
        let (first, longest) = STORE_RETRY;
        let mut pause = first;
        loop {
            let keep_alive = self.next(draining, alive).await;
            while let Err(error) = self.attempt(keep_alive).await {
                self.metrics.store_failures.inc();
                tracing::warn!(%error, waiting = self.ledger.waiting(), "placements cannot be written yet");
                sleep(shortened(pause)).await;
                pause = (pause * 2).min(longest);
            }
            pause = first;
        }
    }

    /// Waits for something to do; says whether the leases are to be kept alive.
    async fn next(&mut self, draining: &CancellationToken, alive: &mut Interval) -> bool {
        tokio::select! {
            _ = alive.tick() => true,
            () = self.sessions.touch() => false,
            () = draining.cancelled(), if !self.edge.draining => {
                self.edge.draining = true;
                self.edge_lease = None;
                false
            }
        }
    }

    async fn attempt(&mut self, keep_alive: bool) -> Result<(), StoreError> {
        self.ledger.touch(self.sessions.take_touched());
        self.metrics
            .placements_waiting
            .set(i64::try_from(self.ledger.waiting()).unwrap_or(i64::MAX));
        let attempt = timeout(STORE_WITHIN, self.settle(keep_alive)).await;
        let result = attempt.unwrap_or_else(|_| {
            self.metrics.hit(Hit::StoreTime);
            Err(StoreError::Unavailable("no answer in time".into()))
        });
        if let Err(StoreError::LeaseGone(lease)) = &result {
            self.lost(*lease);
        }
        self.metrics
            .placements_waiting
            .set(i64::try_from(self.ledger.waiting()).unwrap_or(i64::MAX));
        result
    }

    async fn settle(&mut self, keep_alive: bool) -> Result<(), StoreError> {
        if keep_alive {
            for lease in self.ledger.leases() {
                self.store.keep_alive(lease).await?;
            }
        }
        if self.edge_lease.is_none() {
            self.place_edge().await?;
        }
        while self.ledger.waiting() > 0 {
            self.place_sessions().await?;
        }
        Ok(())
    }

    async fn place_edge(&mut self) -> Result<(), StoreError> {
        let lease = self.lease_with_room().await?;
        let key = layout::edge(&self.edge.id);
        let fact = Value::json(&self.edge)?;
        self.commit(Transaction::new().put_leased(key, fact, lease))
            .await?;
        self.edge_lease = Some(lease);
        Ok(())
    }

    /// One transaction of them.
    async fn place_sessions(&mut self) -> Result<(), StoreError> {
        let lease = self.lease_with_room().await?;
        let some = self.ledger.some_waiting(PLACEMENTS_PER_COMMIT);
        let mut transaction = Transaction::new();
        let mut written = Vec::new();
        for session in &some {
            let wanted = self.sessions.placement(&self.edge.id, session);
            let key = layout::placement(&self.edge.id, session);
            match &wanted {
                Some(fact) if self.ledger.says(session, fact) => {}
                Some(fact) => {
                    // Before it is written, so that it is taken back even when nobody learns that it was.
                    let lease = self.ledger.reserve(session, lease);
                    transaction = transaction.put_leased(key, Value::json(fact)?, lease);
                }
                None if self.ledger.knows(session) => transaction = transaction.delete(key),
                None => {}
            }
            written.push((session.clone(), wanted));
        }
        if !transaction.operations().is_empty() {
            self.commit(transaction).await?;
        }
        self.ledger.settled(written);
        Ok(())
    }

    async fn commit(&self, transaction: Transaction) -> Result<(), StoreError> {
        match self.store.commit(transaction).await? {
            Commit::Done(_) => Ok(()),
            // There are no conditions that could fail.
            Commit::Conflict => Err(StoreError::Unknown("a conflict without a condition".into())),
        }
    }

    async fn lease_with_room(&mut self) -> Result<LeaseId, StoreError> {
        if let Some(lease) = self.ledger.lease_with_room() {
            return Ok(lease);
        }
        let lease = self.store.grant_lease(LEASE_TTL).await?;
        self.ledger.granted(lease);
        Ok(lease)
    }

    fn lost(&mut self, lease: LeaseId) {
        self.ledger.lost(lease);
        if self.edge_lease == Some(lease) {
            self.edge_lease = None;
        }
    }

    async fn take_back(&self) {
        for lease in self.ledger.leases() {
            if let Err(error) = self.store.revoke_lease(lease).await {
                tracing::debug!(%error, "a lease is left to end by itself");
            }
        }
    }
}

fn shortened(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests;
