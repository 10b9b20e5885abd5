//! The one link in use, and the way to the next: whoever finds a member away gives it up for all, and the first of the others that
//! answers takes its place.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use etcd_client::Client;
use futures_util::{FutureExt, future::select_ok};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    counters::Tally,
    failure::{Begun, Failure},
    link::Link,
};
use crate::{EtcdConfig, StoreError};

/// The next member is tried beside the one before when that has not answered by then: a healthy one has.
const HEAD_START: Duration = Duration::from_millis(250);
/// Between two tries, as while members elect a leader or have too much to do; shortened by chance, so that clients do not come in
/// step.
const PAUSE: Duration = Duration::from_millis(150);

/// How long a call may take: one try at one member, and all of them together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) attempt: Duration,
    pub(super) whole: Duration,
}

#[derive(Debug)]
pub(super) struct Links {
    config: EtcdConfig,
    pub(super) tally: Tally,
    current: Mutex<Option<Arc<Link>>>,
    /// Which member is tried first.
    turn: AtomicUsize,
}

impl Links {
    pub(super) fn new(config: EtcdConfig) -> Self {
        // By chance, so that many clients do not all sit at the first member.
        let turn = rand::random_range(0..config.endpoints.len());
        Self {
            config,
            tally: Tally::default(),
            current: Mutex::default(),
            turn: AtomicUsize::new(turn),
        }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.config.prefix
    }

    /// A link to a member that answers; tries until `deadline`.
    pub(super) async fn get(&self, deadline: Instant) -> Result<Arc<Link>, Failure> {
        let mut last = Failure::away("no member of etcd answered in time", Begun::No);
        loop {
            // One at a time looks for a member; the others wait for what it finds.
            let Ok(mut current) = timeout_at(deadline, self.current.lock()).await else {
                return Err(last);
            };
            if let Some(link) = current.as_ref().filter(|link| !link.broken.is_cancelled()) {
                return Ok(link.clone());
            }
            *current = None;
            match timeout_at(deadline, self.connect()).await {
                Ok(Ok(link)) => {
                    *current = Some(link.clone());
                    return Ok(link);
                }
                Ok(Err(refused @ Failure::Refused(_))) => return Err(refused),
                Ok(Err(failure)) => last = failure,
                Err(_) => return Err(last),
            }
            drop(current);
            if timeout_at(deadline, pause()).await.is_err() {
                return Err(last);
            }
        }
    }

    /// To the first member that can be used, each a little after the one before.
    async fn connect(&self) -> Result<Arc<Link>, Failure> {
        let count = self.config.endpoints.len();
        let first = self.turn.load(Relaxed);
        let attempts = (0..count).map(|after| {
            let at = (first + after) % count;
            let wait = HEAD_START * u32::try_from(after).unwrap_or(u32::MAX);
            async move {
                sleep(wait).await;
                self.connect_to(at).await
            }
            .boxed()
        });
        let (link, _others) = select_ok(attempts).await?;
        self.tally.connects.up();
        tracing::info!(endpoint = %link.endpoint, "connected to etcd");
        Ok(Arc::new(link))
    }

    async fn connect_to(&self, at: usize) -> Result<Link, Failure> {
        let endpoint = &self.config.endpoints[at];
        match Link::connect(&self.config, endpoint).await {
            Ok(link) => {
                self.turn.store(at, Relaxed);
                Ok(link)
            }
            Err(failure) => {
                self.tally.connects_failed.up();
                tracing::debug!(%endpoint, ?failure, "a member of etcd cannot be used");
                Err(named(failure, endpoint))
            }
        }
    }

    /// Nobody is to use this link any more, and its member is the last that is tried next time.
    pub(super) fn give_up(&self, link: &Link, reason: &str) {
        if !link.broken.is_cancelled() {
            tracing::warn!(endpoint = %link.endpoint, reason, "a member of etcd is given up");
            self.turn.fetch_add(1, Relaxed);
            link.broken.cancel();
        }
    }

    /// For what may be done twice: tried at one member after the other.
    pub(super) async fn repeat<T, F>(
        &self,
        patience: Patience,
        call: impl Fn(Client) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let deadline = Instant::now() + patience.whole;
        loop {
            match self.attempt(patience.attempt, deadline, &call).await {
                Err(Failure::Away { .. }) if Instant::now() < deadline => pause().await,
                done => return done,
            }
        }
    }

    /// For what must not be done twice: tried again only when it was not begun.
    pub(super) async fn once<T, F>(
        &self,
        patience: Patience,
        call: impl Fn(Client) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let deadline = Instant::now() + patience.whole;
        loop {
            match self.attempt(patience.attempt, deadline, &call).await {
                Err(Failure::Away {
                    begun: Begun::No, ..
                }) if Instant::now() < deadline => pause().await,
                done => return done,
            }
        }
    }

    async fn attempt<T, F>(
        &self,
        time: Duration,
        deadline: Instant,
        call: &impl Fn(Client) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let link = self.get(deadline).await?;
        let renewals = link.renewals().await;
        match self.over(&link, time, call(link.client())).await {
            // Said before anything is done.
            Err(Failure::Token(reason)) => {
                if !link.renew(renewals, &self.tally).await? {
                    return Err(Failure::Token(reason));
                }
                self.over(&link, time, call(link.client())).await
            }
            answer => answer,
        }
    }

    /// One call over one link, which is given up when the call shows that its member is away.
    pub(super) async fn over<T>(
        &self,
        link: &Link,
        time: Duration,
        call: impl Future<Output = Result<T, etcd_client::Error>>,
    ) -> Result<T, Failure> {
        let answer = tokio::select! {
            answer = timeout(time, call) => answer,
            () = link.broken.cancelled() => {
                return Err(Failure::away("the member was given up meanwhile", Begun::Perhaps));
            }
        };
        let result = match answer {
            Ok(answer) => answer.map_err(Failure::from),
            Err(_) => {
                self.tally.deadlines.up();
                let reason = format!("no answer within {time:?}");
                Err(Failure::away(reason, Begun::Perhaps))
            }
        };
        if let Err(Failure::Away { reason, .. }) = &result {
            self.give_up(link, reason);
        }
        result.map_err(|failure| named(failure, &link.endpoint))
    }

    /// The error of a read or a watch at a revision that is gone.
    pub(super) fn compacted(&self, oldest: model::Revision) -> StoreError {
        self.tally.compacted.up();
        StoreError::Compacted { oldest }
    }
}

async fn pause() {
    sleep(PAUSE.mul_f64(rand::random_range(0.5..=1.0))).await;
}

fn named(failure: Failure, endpoint: &str) -> Failure {
    match failure {
        Failure::Away { reason, begun } => Failure::away(format!("{endpoint}: {reason}"), begun),
        other => other,
    }
}
