//! What each claim's endpoints carry at this edge, and how the control plane learns of it.
//!
//! Bytes are added to a counter that the claim's bound endpoints share, in large steps, so that the path of the bytes takes no
//! lock and seldom an atomic operation. Once a minute what was counted is reported. While the control plane is away the counters
//! go on, and take no more memory; a run of the edge that is killed loses what it has not reported.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use model::{AccountId, ClaimId, EdgeId, Usage, UsageEntry, UsageReport};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    bounds::{
        USAGE_CLAIMS, USAGE_ENTRIES, USAGE_EVERY, USAGE_FAREWELL, USAGE_RETRY, USAGE_STEP,
        USAGE_WITHIN,
    },
    metrics::{Hit, Metrics},
};

/// Where reports go: the control plane, in this process or another one.
#[async_trait]
pub trait UsageSink: fmt::Debug + Send + Sync + 'static {
    /// Done when it is kept. The same report may be given again after a failure.
    async fn report(&self, report: &UsageReport) -> Result<(), UsageError>;
}

/// Why a report was not kept; it is given again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The counters of all claims that are served here, or were since the last report.
#[derive(Debug)]
pub(crate) struct Ledger {
    counts: Mutex<HashMap<ClaimId, Arc<Count>>>,
    metrics: Metrics,
}

/// One claim's.
#[derive(Debug)]
pub(crate) struct Count {
    account: AccountId,
    visits: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
}

/// Bytes of one stream, told to the claim's counter in steps, and when the stream is over.
#[derive(Debug)]
pub(crate) struct Flow {
    count: Arc<Count>,
    up: u64,
    down: u64,
}

impl Ledger {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            counts: Mutex::default(),
            metrics,
        }
    }

    /// The counter of a claim. Beyond the bound it is one that nobody reads.
    pub(crate) fn of(&self, claim: &ClaimId, account: &AccountId) -> Arc<Count> {
        let mut counts = self.lock();
        if let Some(count) = counts.get(claim) {
            return count.clone();
        }
        let count = Arc::new(Count {
            account: account.clone(),
            visits: AtomicU64::new(0),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
        });
        if counts.len() >= USAGE_CLAIMS {
            self.metrics.hit(Hit::UsageClaims);
        } else {
            counts.insert(claim.clone(), count.clone());
        }
        count
    }

    /// Everything since the last call. Claims that are served no more are forgotten.
    fn take(&self) -> VecDeque<UsageEntry> {
        let mut taken = VecDeque::new();
        self.lock().retain(|claim, count| {
            // Before the look at the counts: whoever holds it may still add to them.
            let in_use = Arc::strong_count(count) > 1;
            let usage = count.take();
            if !usage.is_zero() {
                taken.push_back(UsageEntry {
                    account: count.account.clone(),
                    claim: claim.clone(),
                    usage,
                });
            }
            in_use
        });
        taken
    }

    // Whole whenever something could panic: it holds nothing but counters.
    fn lock(&self) -> MutexGuard<'_, HashMap<ClaimId, Arc<Count>>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    /// A visit is over.
    pub(crate) fn visited(&self) {
        self.visits.fetch_add(1, Relaxed);
    }

    pub(crate) fn flow(self: &Arc<Self>) -> Flow {
        Flow {
            count: self.clone(),
            up: 0,
            down: 0,
        }
    }

    fn take(&self) -> Usage {
        Usage {
            visits: self.visits.swap(0, Relaxed),
            up: self.up.swap(0, Relaxed),
            down: self.down.swap(0, Relaxed),
        }
    }
}

impl Flow {
    pub(crate) fn up(&mut self, bytes: usize) {
        self.up += bytes as u64;
        if self.up >= USAGE_STEP {
            self.tell();
        }
    }

    pub(crate) fn down(&mut self, bytes: usize) {
        self.down += bytes as u64;
        if self.down >= USAGE_STEP {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.count
            .up
            .fetch_add(std::mem::take(&mut self.up), Relaxed);
        self.count
            .down
            .fetch_add(std::mem::take(&mut self.down), Relaxed);
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.tell();
    }
}

/// Reports what the ledger holds.
#[derive(Debug)]
pub(crate) struct Reporter {
    ledger: Arc<Ledger>,
    sink: Arc<dyn UsageSink>,
    edge: EdgeId,
    run: u64,
    /// Of the next report that is new.
    sequence: u64,
    /// Taken from the ledger, and not reported yet.
    waiting: VecDeque<UsageEntry>,
    metrics: Metrics,
}

impl Reporter {
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        sink: Arc<dyn UsageSink>,
        edge: EdgeId,
        metrics: Metrics,
    ) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let run = since.map_or(0, |since| since.as_millis() as u64);
        Self {
            ledger,
            sink,
            edge,
            run,
            sequence: 1,
            waiting: VecDeque::new(),
            metrics,
        }
    }

    /// Until `stop`; then what is left is reported, if that can be done soon.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        stop.run_until_cancelled(self.keep_reporting()).await;
        self.metrics.usage_waiting(self.waiting.len());
        let farewell = async {
            // What could not be reported comes first, and keeps its number: it may have arrived.
            self.send_waiting().await?;
            self.waiting = self.ledger.take();
            self.send_waiting().await
        };
        let told = timeout(USAGE_FAREWELL, farewell).await;
        if !matches!(told, Ok(Ok(()))) {
            self.metrics.hit(Hit::UsageFarewell);
            tracing::warn!(
                "the last counts of usage are lost: the control plane does not take them"
            );
        }
    }

    async fn keep_reporting(&mut self) {
        let mut ticks = interval(USAGE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.waiting = self.ledger.take();
            let (mut pause, longest) = USAGE_RETRY;
            while let Err(error) = self.send_waiting().await {
                self.metrics.usage_failures.inc();
                tracing::warn!(%error, waiting = self.waiting.len(), "usage cannot be reported yet");
                sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
                pause = (pause * 2).min(longest);
            }
        }
    }

    /// One report after the other. What is dropped half way keeps its entries and its number.
    async fn send_waiting(&mut self) -> Result<(), UsageError> {
        while !self.waiting.is_empty() {
            let some = self.waiting.len().min(USAGE_ENTRIES);
            let report = UsageReport {
                edge: self.edge.clone(),
                run: self.run,
                sequence: self.sequence,
                entries: self.waiting.range(..some).cloned().collect(),
            };
            let kept = timeout(USAGE_WITHIN, self.sink.report(&report)).await;
            kept.unwrap_or_else(|_| {
                self.metrics.hit(Hit::UsageTime);
                Err(UsageError("no answer in time".into()))
            })?;
            self.waiting.drain(..some);
            self.sequence += 1;
            self.metrics.usage_reports.inc();
            self.metrics.usage_waiting(self.waiting.len());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::*;

    /// A control plane that keeps what it gets, and can be away, or silent after it has kept a report.
    #[derive(Debug, Default)]
    struct Kept(Mutex<State>);

    #[derive(Debug, Default)]
    struct State {
        away: bool,
        loses_answers: bool,
        last: u64,
        calls: u64,
        sums: BTreeMap<ClaimId, Usage>,
    }

    #[async_trait]
    impl UsageSink for Kept {
        async fn report(&self, report: &UsageReport) -> Result<(), UsageError> {
            let mut state = self.0.lock().unwrap();
            state.calls += 1;
            if state.away {
                return Err(UsageError("away".into()));
            }
            assert!(report.entries.len() <= USAGE_ENTRIES);
            if report.sequence > state.last {
                state.last = report.sequence;
                for entry in &report.entries {
                    *state.sums.entry(entry.claim.clone()).or_default() += entry.usage;
                }
            }
            if std::mem::take(&mut state.loses_answers) {
                return Err(UsageError("the answer is lost".into()));
            }
            Ok(())
        }
    }

    fn claim(n: usize) -> ClaimId {
        format!("clm_{n}").parse().unwrap()
    }

    fn ledger() -> Arc<Ledger> {
        Arc::new(Ledger::new(Metrics::default()))
    }

    fn of(ledger: &Ledger, n: usize) -> Arc<Count> {
        ledger.of(&claim(n), &"acc_1".parse().unwrap())
    }

    fn start(
        ledger: &Arc<Ledger>,
        sink: &Arc<Kept>,
        stop: &CancellationToken,
    ) -> tokio::task::JoinHandle<()> {
        let reporter = Reporter::new(
            ledger.clone(),
            sink.clone(),
            "e1".parse().unwrap(),
            ledger.metrics.clone(),
        );
        tokio::spawn(reporter.run(stop.clone()))
    }

    #[test]
    fn a_flow_tells_in_steps_and_at_its_end() {
        let ledger = ledger();
        let count = of(&ledger, 1);
        let mut flow = count.flow();
        flow.up(USAGE_STEP as usize - 1);
        assert_eq!(count.take(), Usage::default());
        flow.down(7);
        flow.up(1);
        let told = count.take();
        assert_eq!((told.up, told.down), (USAGE_STEP, 7));
        flow.down(5);
        drop(flow);
        assert_eq!(count.take().down, 5);
    }

    #[test]
    fn claims_that_are_served_no_more_are_forgotten_once_they_are_told() {
        let ledger = ledger();
        let (kept, gone) = (of(&ledger, 1), of(&ledger, 2));
        gone.visited();
        drop(gone);
        assert_eq!(ledger.take().len(), 1);
        assert_eq!(ledger.lock().len(), 1);
        kept.visited();
        assert!(Arc::ptr_eq(&kept, &of(&ledger, 1)));
        assert_eq!(ledger.take().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn every_visit_is_reported_once_whatever_fails() {
        let (ledger, sink, stop) = (
            ledger(),
            Arc::new(Kept::default()),
            CancellationToken::new(),
        );
        let counts: Vec<_> = (0..250).map(|n| of(&ledger, n)).collect();
        counts.iter().for_each(|count| count.visited());
        sink.0.lock().unwrap().loses_answers = true;
        let task = start(&ledger, &sink, &stop);
        sleep(USAGE_EVERY / 2).await;
        assert_eq!(sink.0.lock().unwrap().sums.len(), 250);
        sink.0.lock().unwrap().away = true;
        counts.iter().for_each(|count| count.visited());
        sleep(USAGE_EVERY * 20).await;
        counts.iter().for_each(|count| count.visited());
        sink.0.lock().unwrap().away = false;
        sleep(USAGE_EVERY * 3).await;
        // The last ones are told when the edge stops.
        counts.iter().for_each(|count| count.visited());
        stop.cancel();
        task.await.unwrap();
        let state = sink.0.lock().unwrap();
        assert!(
            state.sums.values().all(|usage| usage.visits == 4),
            "{state:?}"
        );
        assert!(state.calls > 20, "it was tried again: {}", state.calls);
    }

    #[tokio::test(start_paused = true)]
    async fn an_edge_that_stops_does_not_wait_for_a_control_plane_that_is_away() {
        let (ledger, sink, stop) = (
            ledger(),
            Arc::new(Kept::default()),
            CancellationToken::new(),
        );
        sink.0.lock().unwrap().away = true;
        let count = of(&ledger, 1);
        count.visited();
        let task = start(&ledger, &sink, &stop);
        sleep(Duration::from_millis(1)).await;
        stop.cancel();
        timeout(USAGE_FAREWELL * 2, task).await.unwrap().unwrap();
        assert_eq!(ledger.metrics.hits(Hit::UsageFarewell), 1);
    }
}
