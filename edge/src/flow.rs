//! Carries the datagrams of one visitor over a stream of a session and, where the agent takes them, in frames of their own,
//! until nothing has come from him for a while: nobody says goodbye in UDP.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;
use tunnel::datagram::{self, DatagramReader, FrameReceiver, FrameSender, Frames, Silence};

use crate::{
    bounds::{FLOW_FIRST_SILENCE, FLOW_LEAVING_SILENCE, FLOW_SILENCE},
    connection::Visitor,
    flows::{Begun, Ends, Waiting},
    http::Copied,
    listen::DatagramSocket,
    metrics::{DatagramCounters, Metrics, Path},
    session::OriginStream,
    usage::Count,
};

/// A flow, and what is known of its visitor.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) socket: Arc<DatagramSocket>,
    pub(crate) flow: Begun,
    pub(crate) visitor: Visitor,
    /// From then on a flow that is silent does not keep the edge.
    pub(crate) leaving: CancellationToken,
}

/// Where what is carried is counted.
#[derive(Debug)]
pub(crate) struct Counts<'a> {
    /// What goes in frames; the stream counts its own bytes.
    usage: &'a Arc<Count>,
    metrics: &'a Metrics,
    datagrams: DatagramCounters,
    /// Payloads of this flow.
    up: AtomicU64,
    down: AtomicU64,
}

impl<'a> Counts<'a> {
    pub(crate) fn new(usage: &'a Arc<Count>, metrics: &'a Metrics) -> Self {
        Self {
            usage,
            metrics,
            datagrams: metrics.datagrams(),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
        }
    }

    fn up(&self, path: Path, bytes: usize) {
        self.datagrams.up(path).inc();
        self.up.fetch_add(bytes as u64, Relaxed);
    }

    fn down(&self, path: Path, bytes: usize) {
        self.datagrams.down(path).inc();
        self.down.fetch_add(bytes as u64, Relaxed);
    }
}

/// Until the flow is silent, or either side ends it.
pub(crate) async fn carry(
    carried: &mut Carried,
    (mut origin, frames): (OriginStream, Option<Frames>),
    counts: Counts<'_>,
) -> (Copied, io::Result<()>) {
    // Only what comes from the visitor breaks it: an address that somebody invented must not be sent to for long.
    let silence = Silence::new(FLOW_FIRST_SILENCE);
    let mut from = FromVisitor {
        datagrams: &mut carried.flow.datagrams,
        silence: &silence,
        came: 0,
    };
    let to = ToVisitor {
        socket: &carried.socket,
        ends: carried.flow.ends,
    };
    let carrying = async {
        let (mut sender, mut receiver) = (None, None);
        if let Some(frames) = frames {
            // The agent knows of the flow when it has answered; until then there is only the stream.
            from.until_answered(&mut origin, &counts).await?;
            (sender, receiver) = (Some(frames.sender), Some(frames.receiver));
        }
        let (reader, writer) = tokio::io::split(&mut origin);
        tokio::select! {
            result = from.carry(writer, sender, &counts) => result,
            result = to.carry(reader, &mut receiver, &counts) => result,
        }
    };
    let result = tokio::select! {
        result = carrying => result,
        () = silence.lasted() => Ok(()),
        () = left_alone(&carried.leaving, &silence) => Ok(()),
    };
    if result.is_ok() {
        // The agent lets go of its socket.
        let _ = origin.shutdown().await;
    }
    let copied = Copied {
        from_left: counts.up.load(Relaxed),
        from_right: counts.down.load(Relaxed),
    };
    (copied, result)
}

/// Waits until the edge is leaving and the visitor has nothing more to say.
async fn left_alone(leaving: &CancellationToken, silence: &Silence) {
    leaving.cancelled().await;
    silence.lasted_for(FLOW_LEAVING_SILENCE).await;
}

struct FromVisitor<'a> {
    datagrams: &'a mut mpsc::Receiver<Waiting>,
    silence: &'a Silence,
    came: u64,
}

impl FromVisitor<'_> {
    /// The table holds the other end for as long as the flow is there.
    async fn next(&mut self) -> Option<Waiting> {
        let waiting = self.datagrams.recv().await?;
        self.silence.broken();
        self.came += 1;
        if self.came == 2 {
            self.silence.may_last(FLOW_SILENCE);
        }
        Some(waiting)
    }

    async fn until_answered(
        &mut self,
        origin: &mut OriginStream,
        counts: &Counts<'_>,
    ) -> io::Result<()> {
        loop {
            let waiting = tokio::select! {
                answered = origin.answered() => return answered,
                Some(waiting) = self.next() => waiting,
            };
            datagram::write(origin, &waiting.bytes).await?;
            counts.up(Path::Stream, waiting.bytes.len());
        }
    }

    async fn carry(
        &mut self,
        mut stream: impl AsyncWrite + Unpin,
        frames: Option<FrameSender>,
        counts: &Counts<'_>,
    ) -> io::Result<()> {
        let mut usage = counts.usage.flow();
        while let Some(Waiting { bytes, .. }) = self.next().await {
            let in_frame = frames.as_ref().is_some_and(|frames| frames.send(&bytes));
            if in_frame {
                usage.up(bytes.len());
                counts.up(Path::Frame, bytes.len());
            } else {
                datagram::write(&mut stream, &bytes).await?;
                counts.up(Path::Stream, bytes.len());
            }
        }
        Ok(())
    }
}

struct ToVisitor<'a> {
    socket: &'a DatagramSocket,
    ends: Ends,
}

impl ToVisitor<'_> {
    async fn carry(
        &self,
        stream: impl AsyncRead + Unpin,
        frames: &mut Option<FrameReceiver>,
        counts: &Counts<'_>,
    ) -> io::Result<()> {
        let mut usage = counts.usage.flow();
        let mut stream = DatagramReader::new(stream);
        loop {
            let (path, bytes) = tokio::select! {
                next = stream.next() => match next? {
                    Some(bytes) => (Path::Stream, bytes),
                    None => return Ok(()),
                },
                Some(bytes) = FrameReceiver::next_of(frames) => {
                    usage.down(bytes.len());
                    (Path::Frame, bytes)
                }
            };
            match self.socket.send(&bytes, self.ends).await {
                Ok(sent) => counts.down(path, sent),
                // Too long for the path, or the visitor has gone: the next one may arrive.
                Err(error) => {
                    counts.metrics.datagrams_failed.inc();
                    tracing::debug!(visitor = %self.ends.visitor, %error, "a datagram could not be sent");
                }
            }
        }
    }
}
