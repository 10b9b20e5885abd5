//! A session whose streams are the agent's own requests: each waits here until a visitor needs it.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::{Notify, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tunnel::{
    Code, Exporter, Stream, Transport, TransportError, TransportKind, TransportStats,
    single::SingleStream,
};

use crate::{bounds::WAITING_POLLS, listen::VisitorSlot};

#[derive(Debug)]
pub(super) struct SingleTransport {
    waiting: Mutex<Waiting>,
    came: Notify,
    /// Requests that wait, and streams that they became.
    uses: watch::Sender<usize>,
    cut: CancellationToken,
    peer: SocketAddr,
}

#[derive(Debug, Default)]
struct Waiting {
    polls: VecDeque<Poll>,
    last: u64,
}

#[derive(Debug)]
struct Poll {
    id: u64,
    visited: oneshot::Sender<()>,
    upgrade: OnUpgrade,
    held: Held,
}

/// What a request takes of the edge, to the end of the stream that it becomes.
#[derive(Debug)]
struct Held {
    _in_use: Use,
    _slot: Arc<VisitorSlot>,
}

/// Counted while it exists.
#[derive(Debug)]
struct Use(watch::Sender<usize>);

/// A request's place in the line, which it leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    transport: Arc<SingleTransport>,
    id: u64,
    visited: oneshot::Receiver<()>,
}

impl SingleTransport {
    pub(super) fn new(peer: SocketAddr) -> Self {
        Self {
            waiting: Mutex::default(),
            came: Notify::new(),
            uses: watch::Sender::default(),
            cut: CancellationToken::new(),
            peer,
        }
    }

    /// None when as many wait as may.
    pub(super) fn wait(
        self: &Arc<Self>,
        upgrade: OnUpgrade,
        slot: Arc<VisitorSlot>,
    ) -> Option<Place> {
        let (visit, visited) = oneshot::channel();
        let mut waiting = self.waiting();
        if waiting.polls.len() >= WAITING_POLLS {
            return None;
        }
        waiting.last += 1;
        let id = waiting.last;
        waiting.polls.push_back(Poll {
            id,
            visited: visit,
            upgrade,
            held: Held {
                _in_use: Use::of(&self.uses),
                _slot: slot,
            },
        });
        drop(waiting);
        self.came.notify_one();
        Some(Place {
            transport: self.clone(),
            id,
            visited,
        })
    }

    /// Returns when for `linger` no request has waited and no stream was open.
    pub(super) async fn forsaken(&self, linger: Duration) {
        let mut uses = self.uses.subscribe();
        loop {
            // The sender is in `self`.
            let _ = uses.wait_for(|uses| *uses == 0).await;
            let back = tokio::time::timeout(linger, uses.wait_for(|uses| *uses > 0)).await;
            if back.is_err() {
                return;
            }
        }
    }

    async fn next(&self) -> Poll {
        loop {
            let came = self.came.notified();
            let first = self.waiting().polls.pop_front();
            if let Some(poll) = first {
                return poll;
            }
            came.await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Use {
    fn of(uses: &watch::Sender<usize>) -> Self {
        uses.send_modify(|uses| *uses += 1);
        Self(uses.clone())
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.0.send_modify(|uses| *uses -= 1);
    }
}

impl Place {
    /// Returns when a visitor has come.
    pub(super) async fn visited(&mut self) {
        if (&mut self.visited).await.is_err() {
            // Only a visitor or the end of this place takes the other end away.
            std::future::pending::<()>().await;
        }
    }

    /// Gives the place up; true when a visitor was faster.
    pub(super) fn leave(mut self) -> bool {
        self.visited.close();
        self.visited.try_recv().is_ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.transport.waiting();
        let at = waiting.polls.iter().position(|poll| poll.id == self.id);
        let gone = at.and_then(|at| waiting.polls.remove(at));
        drop(waiting);
        drop(gone);
    }
}

#[async_trait]
impl Transport for SingleTransport {
    /// The next request that is still there becomes the stream.
    async fn open(&self) -> Result<Stream, TransportError> {
        loop {
            let next = self.cut.run_until_cancelled(self.next()).await;
            let poll = next.ok_or(TransportError::ClosedHere)?;
            if poll.visited.send(()).is_err() {
                continue;
            }
            // Until the upgrade nothing was said to the agent, so the next one may be asked.
            let upgraded = self.cut.run_until_cancelled(poll.upgrade).await;
            if let Ok(upgraded) = upgraded.ok_or(TransportError::ClosedHere)? {
                let io = TokioIo::new(upgraded);
                return Ok(SingleStream::new(io, self.cut.clone(), poll.held).into());
            }
        }
    }

    /// There is no stream of the agent's.
    async fn accept(&self) -> Result<Stream, TransportError> {
        Err(self.closed().await)
    }

    fn admit(&self, _: u32) {}

    fn close(&self, _: Code, _: &str) {
        self.cut.cancel();
    }

    async fn closed(&self) -> TransportError {
        self.cut.cancelled().await;
        TransportError::ClosedHere
    }

    fn rtt(&self) -> Option<Duration> {
        None
    }

    fn exporter(&self) -> Option<Exporter> {
        None
    }

    fn kind(&self) -> TransportKind {
        TransportKind::Single
    }

    fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Nothing is carried but the streams' own bytes, which are counted where they are used.
    fn stats(&self) -> TransportStats {
        TransportStats::default()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_agent_is_missed_after_its_last_use() {
        const LINGER: Duration = Duration::from_secs(60);
        let transport = SingleTransport::new(([127, 0, 0, 1], 1).into());
        let start = Instant::now();
        let using = async {
            sleep(LINGER / 2).await;
            let _used = Use::of(&transport.uses);
            sleep(LINGER * 3).await;
            drop(Use::of(&transport.uses));
        };
        tokio::join!(using, transport.forsaken(LINGER));
        assert_eq!(start.elapsed(), LINGER / 2 + LINGER * 3 + LINGER);
    }
}
