//! Carries bytes between a visitor's socket and a stream of a session, in the buffers of the session: a connection has none of
//! its own.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::AsyncWrite,
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    http::{Copied, HALF_CLOSED},
    session::OriginStream,
};

/// Reads or writes in a row before other tasks get their turn.
const TURNS: usize = 16;

/// Carries until both directions have ended. An error of either side ends both: drop them, so that the peers see an abort.
pub(crate) async fn carry(
    visitor: &mut TcpStream,
    origin: &mut OriginStream,
) -> (Copied, io::Result<()>) {
    let mut both = Both::default();
    let result = std::future::poll_fn(|cx| both.poll(cx, visitor, origin)).await;
    let copied = Copied {
        from_left: both.up.moved,
        from_right: both.down.moved,
    };
    (copied, result)
}

#[derive(Debug, Default)]
struct Both {
    up: Direction,
    down: Direction,
    /// Runs while one direction has ended and the other is silent.
    patience: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, Default)]
struct Direction {
    moved: u64,
    /// Its source has ended.
    ended: bool,
    /// Its sink knows.
    done: bool,
}

impl Both {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        visitor: &mut TcpStream,
        origin: &mut OriginStream,
    ) -> Poll<io::Result<()>> {
        let before = self.up.moved + self.down.moved;
        let up = self.up.poll(cx, |cx, end| match end {
            false => origin.poll_fill(cx, visitor),
            true => Pin::new(&mut *origin).poll_shutdown(cx).map_ok(|()| 0),
        })?;
        let down = self.down.poll(cx, |cx, end| match end {
            false => origin.poll_drain(cx, visitor),
            true => Pin::new(&mut *visitor).poll_shutdown(cx).map_ok(|()| 0),
        })?;
        match (up, down) {
            (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(Ok(())),
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            _ => self.poll_patience(cx, before),
        }
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>, before: u64) -> Poll<io::Result<()>> {
        let until = Instant::now() + HALF_CLOSED;
        let moved = self.up.moved + self.down.moved > before;
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        if moved {
            patience.as_mut().reset(until);
        }
        ready!(patience.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Direction {
    /// `act` moves bytes, and gives 0 at the end of the source; called with true, it passes that end on.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut act: impl FnMut(&mut Context<'_>, bool) -> Poll<io::Result<usize>>,
    ) -> io::Result<Poll<()>> {
        for _ in 0..TURNS {
            if self.done {
                return Ok(Poll::Ready(()));
            }
            match act(cx, self.ended) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(_)) if self.ended => self.done = true,
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(moved)) => self.moved += moved as u64,
            }
        }
        cx.waker().wake_by_ref();
        Ok(Poll::Pending)
    }
}
