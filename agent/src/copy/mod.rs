//! Carries bytes between a visitor's stream and an origin, each direction for itself.
//!
//! * An end is passed on as an end and the other direction goes on: half-close.
//! * An abort is passed on as an abort, never as an end: a truncated download must not look complete.
//! * A stream holds no buffer: bytes are read to and written from where the session has them.

mod half;
mod side;

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use half::{Ends, Fault, Half};
pub(crate) use side::{Side, Visitor};
use tokio::time::{Instant, Sleep};
use tunnel::Side as End;

use crate::bounds::{self, Bound};

/// How long one direction may be silent once the other has ended. Streams with both directions open have no limit.
const HALF_CLOSED_SILENCE: Duration = Duration::from_secs(600);
/// An abort overtakes bytes that are still on their way. When an origin answers and then aborts (an early 413 to a large
/// upload), its answer gets this long to arrive.
const LINGER: Duration = Duration::from_millis(200);

/// Why copying ended before both directions did.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    #[error("the visitor's side aborted: {0}")]
    Visitor(#[source] io::Error),
    #[error("the origin aborted: {0}")]
    Origin(#[source] io::Error),
    #[error("nothing came for {} s after the other direction had ended", HALF_CLOSED_SILENCE.as_secs())]
    Silent,
}

/// Copies until both directions have ended or one side aborts; then the other one is aborted as well. `look` sees what
/// the origin sends.
pub(crate) async fn copy<V: Visitor, O: Side>(
    visitor: &mut V,
    origin: &mut O,
    look: impl FnMut(&[u8]),
) -> Result<(), CopyError> {
    let mut pair = Pair {
        up: Half::new(),
        down: Half::new(),
        origin_broken: None,
        silence: None,
        look,
    };
    let result = poll_fn(|cx| pair.poll(cx, visitor, origin)).await;
    match &result {
        Ok(()) => {}
        Err(CopyError::Origin(_)) => {
            origin.abort();
            // A direction that has ended cleanly stays so; the caller's drop aborts the other one.
            if !pair.down.is_done() {
                if pair.down.moved() > 0 {
                    tokio::time::sleep(LINGER).await;
                }
                visitor.abort();
            }
        }
        Err(CopyError::Visitor(_) | CopyError::Silent) => {
            origin.abort();
            visitor.abort();
        }
    }
    result
}

struct Pair<L> {
    up: Half,
    down: Half,
    /// Writing to the origin failed. What it had sent before may still be read, but its end is no clean end any more.
    origin_broken: Option<io::Error>,
    silence: Option<Pin<Box<Sleep>>>,
    look: L,
}

struct Upward<'a, V, O> {
    visitor: &'a mut V,
    origin: &'a mut O,
}

struct Downward<'a, V, O, L> {
    visitor: &'a mut V,
    origin: &'a mut O,
    look: &'a mut L,
}

impl<V: Visitor, O: Side> Ends for Upward<'_, V, O> {
    type Sink = O;

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Fault>> {
        let drained = self.visitor.poll_drain(cx, self.origin);
        drained.map_err(|end| match end {
            End::Stream(error) => Fault::Read(error),
            End::Other(error) => Fault::Write(error),
        })
    }

    fn sink(&mut self) -> &mut O {
        self.origin
    }
}

impl<V: Visitor, O: Side, L: FnMut(&[u8])> Ends for Downward<'_, V, O, L> {
    type Sink = V;

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Fault>> {
        let filled = self.visitor.poll_fill(cx, self.origin, &mut *self.look);
        filled.map_err(|end| match end {
            End::Stream(error) => Fault::Write(error),
            End::Other(error) => Fault::Read(error),
        })
    }

    fn sink(&mut self) -> &mut V {
        self.visitor
    }
}

impl<L: FnMut(&[u8])> Pair<L> {
    fn poll<V: Visitor, O: Side>(
        &mut self,
        cx: &mut Context<'_>,
        visitor: &mut V,
        origin: &mut O,
    ) -> Poll<Result<(), CopyError>> {
        let before = self.moved();
        if self.origin_broken.is_none() {
            let mut ends = Upward { visitor, origin };
            match self.up.poll(cx, &mut ends, true) {
                Poll::Ready(Err(Fault::Write(error))) => self.origin_broken = Some(error),
                Poll::Ready(Err(Fault::Read(error))) => {
                    return Poll::Ready(Err(CopyError::Visitor(error)));
                }
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        let whole = self.origin_broken.is_none();
        let look = &mut self.look;
        let mut ends = Downward {
            visitor,
            origin,
            look,
        };
        match self.down.poll(cx, &mut ends, whole) {
            Poll::Ready(Err(Fault::Read(error))) => Poll::Ready(Err(CopyError::Origin(error))),
            Poll::Ready(Err(Fault::Write(error))) => Poll::Ready(Err(CopyError::Visitor(error))),
            Poll::Ready(Ok(())) => match self.origin_broken.take() {
                Some(error) => Poll::Ready(Err(CopyError::Origin(error))),
                None => self.poll_silence(cx, before),
            },
            Poll::Pending => self.poll_silence(cx, before),
        }
    }

    /// Ready when both directions are done, or one is and the other has been silent for too long.
    fn poll_silence(&mut self, cx: &mut Context<'_>, before: u64) -> Poll<Result<(), CopyError>> {
        match (self.up.is_done(), self.down.is_done()) {
            (true, true) => return Poll::Ready(Ok(())),
            (false, false) => return Poll::Pending,
            (true, false) | (false, true) => {}
        }
        let until = Instant::now() + HALF_CLOSED_SILENCE;
        let moved = self.moved() != before;
        let silence = self
            .silence
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if moved {
            silence.as_mut().reset(until);
        }
        ready!(silence.as_mut().poll(cx));
        bounds::hit(Bound::HalfClosed);
        Poll::Ready(Err(CopyError::Silent))
    }

    fn moved(&self) -> u64 {
        self.up.moved() + self.down.moved()
    }
}

#[cfg(test)]
mod tests;
