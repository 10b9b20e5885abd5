//! One authenticated connection to an edge: opened by a race, held by a control loop, gone when either side says so.

mod binds;
mod control;
mod ended;
mod greet;
mod open;
mod renewal;
mod streams;

use std::{sync::Arc, time::Duration};

pub(crate) use ended::Ended;
pub(crate) use open::{OpenError, Opened, Opening, open, wall_clock};
pub use streams::{Incoming, Stream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tunnel::{Code, Secret, Transport, limits, message::Drain};

use crate::{
    Connected, Location,
    bounds::{self, Bound},
    shared::Shared,
};

/// Orders to a control loop that wait to be written; it writes them at once or its session is lost.
const ORDERS: usize = 4;
/// How long the edge may take to read a farewell.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);
/// Streams that the edge opened before it read a farewell may arrive a little later than its answer (QUIC keeps no order
/// among streams).
const CROSSING: Duration = Duration::from_millis(100);
/// A closing connection forgets bytes that are still on their way; the last ones get this long.
const LAST_BYTES: Duration = Duration::from_millis(300);

/// A drain that is announced for later than this is a slip of units.
const LONGEST_NOTICE: Duration = Duration::from_secs(24 * 3600);

/// What this end tells the edge when it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// No new streams, please: we leave when the old ones are done.
    Drain,
    /// As the edge asked, its binds are served elsewhere now.
    Drained,
}

#[derive(Debug)]
struct Order {
    farewell: Farewell,
    /// Fired when the edge has read it.
    heard: oneshot::Sender<()>,
}

/// The edge asked us to bind elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) after: Duration,
    pub(crate) deadline: Duration,
    pub(crate) edges: Vec<Location>,
}

/// A session that was welcomed. Dropping it closes it and aborts its streams.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connected: watch::Receiver<Arc<Connected>>,
    pub(crate) notice: watch::Receiver<Option<Notice>>,
    pub(crate) resume: watch::Receiver<Option<Secret>>,
    pub(crate) transport: Arc<dyn Transport>,
    ended: watch::Receiver<Option<Ended>>,
    orders: mpsc::Sender<Order>,
    /// Counts open streams.
    streams: TaskTracker,
    cancel: CancellationToken,
}

impl Session {
    /// Starts the loops of a session that `opened` leads to.
    pub(crate) fn start(opened: Opened, shared: &Arc<Shared>) -> Self {
        let cancel = shared.cancel.child_token();
        let streams = TaskTracker::new();
        let (orders, orders_in) = mpsc::channel(ORDERS);
        let (connected_in, connected) = watch::channel(Arc::new(opened.connected));
        let (notice_in, notice) = watch::channel(None);
        let (resume_in, resume) = watch::channel(opened.resume);
        let (ended_in, ended) = watch::channel(None);
        let transport = opened.transport;
        let streams_at_once = opened.limits.streams.saturating_add(opened.limits.flows);
        if streams_at_once > limits::PEER_STREAMS {
            transport.admit(streams_at_once);
        }
        let accepting = streams::Accepting {
            transport: Arc::clone(&transport),
            shared: Arc::clone(shared),
            limits: opened.limits,
            streams: streams.clone(),
        };
        shared.tasks.spawn(accepting.run(cancel.clone()));
        let control = control::Control {
            shared: Arc::clone(shared),
            transport: Arc::clone(&transport),
            writer: opened.writer,
            orders: orders_in,
            connected: connected_in,
            notice: notice_in,
            resume: resume_in,
            binds: binds::Binds::new(opened.asked),
            leaving: false,
            heard: None,
        };
        let stop = cancel.clone();
        shared.tasks.spawn(async move {
            let end = control.run(opened.reader, stop).await;
            // The receiver is gone when nobody asks any more.
            let _ = ended_in.send(Some(end));
        });
        Self {
            connected,
            notice,
            resume,
            transport,
            ended,
            orders,
            streams,
            cancel,
        }
    }

    pub(crate) fn info(&self) -> Arc<Connected> {
        Arc::clone(&self.connected.borrow())
    }

    pub(crate) async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await.ok();
        end.and_then(|end| end.clone())
            .unwrap_or_else(|| Ended::Lost("the control loop is gone".into()))
    }

    /// Tells the edge, lets the open streams finish until `deadline`, then closes.
    pub(crate) async fn leave(self, farewell: Farewell, deadline: Duration) {
        let (heard, hearing) = oneshot::channel();
        let finishing = async {
            // An edge that has ended the control stream has said its own farewell; the streams go on.
            if self.orders.send(Order { farewell, heard }).await.is_ok() {
                let _ = tokio::time::timeout(FAREWELL_TIMEOUT, hearing).await;
            }
            tokio::time::sleep(CROSSING).await;
            self.streams.close();
            self.streams.wait().await;
            tokio::time::sleep(LAST_BYTES).await;
        };
        tokio::select! {
            () = finishing => {}
            _ = self.transport.closed() => {}
            () = tokio::time::sleep(deadline) => {
                bounds::hit(Bound::Leaving);
                tracing::info!(streams = self.streams.len(), "streams are cut: the deadline has come");
            }
        }
    }
}

impl From<Drain> for Notice {
    fn from(drain: Drain) -> Self {
        let named = drain.edges.iter();
        Self {
            after: drain.after.min(LONGEST_NOTICE),
            deadline: drain.deadline.min(LONGEST_NOTICE),
            edges: named.filter_map(|url| url.parse().ok()).collect(),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.transport.close(Code::Ok, "the agent leaves");
    }
}
