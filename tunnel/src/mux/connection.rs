//! The handle of a session.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use super::{
    Config, MuxError, Role, Stats, Stream,
    driver::Driver,
    session::Session,
    shared::Shared,
    wire::{Plain, Wire},
};
use crate::Code;

/// A session over one connection. Dropping it closes the session, and with it all streams.
#[derive(Debug)]
pub struct Connection {
    shared: Arc<Shared>,
    driver: TaskTracker,
}

impl Connection {
    /// Takes over `io`, whose bytes reach the peer in order, and starts the task that moves them. Must be called within a
    /// tokio runtime.
    pub fn new<I>(io: I, role: Role, config: Config) -> Self
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::over(Plain::new(io), role, config)
    }

    /// The same over a connection that hands out its buffers.
    pub(crate) fn over<W: Wire + 'static>(wire: W, role: Role, config: Config) -> Self {
        let now = Instant::now();
        let shared = Arc::new(Shared::new(Session::new(role, config, now.into_std())));
        let driver = TaskTracker::new();
        driver.spawn(Driver::new(wire, Arc::clone(&shared), now));
        driver.close();
        Self { shared, driver }
    }

    /// A new stream, at once. The peer learns of it with its first bytes; when it takes no more, the stream is reset with
    /// [`Code::StreamLimit`].
    pub fn open(&self) -> Result<Stream, MuxError> {
        let now = Instant::now().into_std();
        let id = self.shared.with(|session| session.open(now))?;
        Ok(Stream::new(id, Arc::clone(&self.shared)))
    }

    /// The next stream that the peer opens.
    pub async fn accept(&self) -> Result<Stream, MuxError> {
        loop {
            if let Some(id) = self.shared.with(Session::accept)? {
                return Ok(Stream::new(id, Arc::clone(&self.shared)));
            }
            tokio::select! {
                () = self.shared.arrivals.notified() => {}
                () = self.shared.over.cancelled() => {}
            }
        }
    }

    /// Lets the peer have `streams` open at once, and lets windows grow.
    pub fn admit(&self, streams: u32) {
        self.shared.with(|session| session.admit(streams));
    }

    /// Ends the session. What was written before is still sent, for a bounded time; all streams fail.
    pub fn close(&self, code: Code) {
        self.shared.with(|session| session.close(code));
    }

    /// Waits for the end of the session and tells its cause.
    pub async fn closed(&self) -> MuxError {
        self.shared.over.cancelled().await;
        let cause = self.shared.with(|session| session.over().cloned());
        cause.unwrap_or(MuxError::ClosedHere)
    }

    /// Waits until the connection below is let go, which a bounded time after the end it is.
    pub async fn finished(&self) {
        self.driver.wait().await;
    }

    /// A smoothed round trip, once there was one.
    pub fn rtt(&self) -> Option<Duration> {
        self.shared.with(|session| session.rtt())
    }

    pub fn stats(&self) -> Stats {
        self.shared.with(|session| session.stats())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close(Code::Ok);
    }
}
