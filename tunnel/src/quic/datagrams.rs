//! Flows of datagrams in DATAGRAM frames (RFC 9221; docs/protocol.md, "Datagrams"). Each flow still has its stream, which
//! carries what does not go in a frame.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use quinn::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::{
    bounds::{self, Bound},
    datagram::frame,
};

/// Bytes of frames that came and were not looked at yet: what comes in while the reader waits for its turn of the processor.
/// It is also what a frame may have at most, which is far more than a packet holds.
pub(super) const RECEIVE_BUFFER: usize = 256 << 10;
/// Bytes of frames that wait for their turn on the path. They leave before what streams have to send.
pub(super) const SEND_BUFFER: usize = 128 << 10;
/// Frames of one flow that wait for whoever carries it; more are dropped, as on any path.
const FRAME_QUEUE: usize = 64;
/// Bytes of the frames of all flows of a session that wait so.
const FRAME_BYTES: usize = 1 << 20;

/// The flows of one connection that take frames.
#[derive(Debug)]
pub(super) struct Flows {
    open: Mutex<HashMap<u64, mpsc::Sender<Waiting>>>,
    room: Arc<Semaphore>,
    /// Both sides have said that they take frames.
    pub(super) agreed: AtomicBool,
    /// Bytes that have to take the streams before there is another frame.
    owed: AtomicUsize,
}

#[derive(Debug)]
struct Waiting {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

/// The frames of one flow: an end to send, an end to receive.
#[derive(Debug)]
pub struct Frames {
    pub sender: FrameSender,
    pub receiver: FrameReceiver,
}

#[derive(Debug)]
pub struct FrameSender {
    flow: u64,
    connection: Connection,
    flows: Arc<Flows>,
}

/// Dropping it makes frames of the flow frames for nobody.
#[derive(Debug)]
pub struct FrameReceiver {
    flow: u64,
    flows: Arc<Flows>,
    waiting: mpsc::Receiver<Waiting>,
}

impl Flows {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            room: Arc::new(Semaphore::new(FRAME_BYTES)),
            agreed: AtomicBool::new(false),
            owed: AtomicUsize::new(0),
        })
    }

    pub(super) fn begin(self: &Arc<Self>, flow: u64, connection: &Connection) -> Frames {
        let (coming, waiting) = mpsc::channel(FRAME_QUEUE);
        self.lock().insert(flow, coming);
        Frames {
            sender: FrameSender {
                flow,
                connection: connection.clone(),
                flows: self.clone(),
            },
            receiver: FrameReceiver {
                flow,
                flows: self.clone(),
                waiting,
            },
        }
    }

    /// Takes a frame to its flow. Never answers, and never waits.
    fn take(&self, frame: &[u8]) {
        let known = frame::decode(frame).and_then(|(flow, datagram)| {
            let coming = self.lock().get(&flow).cloned();
            Some((coming?, datagram))
        });
        let Some((coming, datagram)) = known else {
            bounds::hit(Bound::StrayDatagrams);
            return;
        };
        // An empty one needs room, too: its place in the queue.
        let bytes = u32::try_from(datagram.len().max(1)).unwrap_or(u32::MAX);
        let Ok(room) = self.room.clone().try_acquire_many_owned(bytes) else {
            bounds::hit(Bound::DatagramBytes);
            return;
        };
        // A copy: what came in is a part of much larger packets.
        let waiting = Waiting {
            bytes: datagram.to_vec(),
            _room: room,
        };
        if coming.try_send(waiting).is_err() {
            bounds::hit(Bound::DatagramQueue);
        }
    }

    /// Whether so many bytes are to take the stream, because frames filled the path.
    fn owes(&self, bytes: usize) -> bool {
        let paid = self.owed.fetch_update(Relaxed, Relaxed, |owed| match owed {
            0 => None,
            owed => Some(owed.saturating_sub(bytes.max(1))),
        });
        paid.is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<Waiting>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes frames until the connection ends. It runs from the start, so that a stranger's do not stay in memory.
pub(super) async fn read(connection: Connection, flows: Arc<Flows>) {
    while let Ok(frame) = connection.read_datagram().await {
        flows.take(&frame);
    }
}

impl FrameSender {
    /// Sends a datagram in a frame, or not: then it is for the stream. That is so where the peer takes no frames or the
    /// datagram is too long for the path, and after so many waited that nothing else would get through: as many bytes as
    /// they were wait their turn among the streams.
    pub fn send(&self, datagram: &[u8]) -> bool {
        if self.flows.owes(datagram.len()) {
            return false;
        }
        let Some(frame) = frame::encode(self.flow, datagram) else {
            return false;
        };
        let mut sending = pin!(self.connection.send_datagram_wait(frame));
        match sending
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(sent) => sent.is_ok(),
            Poll::Pending => {
                bounds::hit(Bound::DatagramsOut);
                self.flows.owed.store(SEND_BUFFER, Relaxed);
                false
            }
        }
    }
}

impl FrameReceiver {
    /// The next datagram of the flow that comes in a frame. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        Some(self.waiting.recv().await?.bytes)
    }

    /// The same where there may be no frames, for which it waits forever.
    pub async fn next_of(frames: &mut Option<Self>) -> Option<Vec<u8>> {
        match frames {
            Some(frames) => frames.next().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for FrameReceiver {
    fn drop(&mut self) {
        self.flows.lock().remove(&self.flow);
    }
}

#[cfg(test)]
mod tests;
