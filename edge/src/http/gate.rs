//! Holds a request's body back until the origin wants it (RFC 9110, section 10.1.1).
//!
//! hyper tells the visitor to go on when the body is first asked for, so holding the body back holds "100 Continue" back.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::StatusCode;
use tokio::{sync::watch, time::timeout};

use crate::metrics::{Bounds, Hit};

/// An origin that knows nothing of 100 must get the body at some time; curl waits as long by itself.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    /// The origin has refused before it saw the body. Its answer is on the way.
    Held,
    Open,
    /// The answer is over, and nobody wants the body any more.
    Refused,
}

/// The origin's side of the gate.
#[derive(Clone, Debug)]
pub(super) struct Key(Arc<watch::Sender<State>>);

/// The body's side of the gate.
pub(super) struct Gate(Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>>);

/// The body is not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the origin has answered without waiting for the body")]
pub(super) struct Refused;

pub(super) fn gate(bounds: Bounds) -> (Key, Gate) {
    let (key, state) = watch::channel(State::Closed);
    (Key(Arc::new(key)), Gate(Box::pin(verdict(state, bounds))))
}

impl Key {
    /// The origin said 100.
    pub(super) fn go_on(&self) {
        self.change(State::Closed, State::Open);
    }

    /// The origin answered for good. After a success it may still want the body.
    pub(super) fn answered(&self, status: StatusCode) {
        let next = if status.is_success() {
            State::Open
        } else {
            State::Held
        };
        self.change(State::Closed, next);
    }

    /// The answer was passed on in full.
    pub(super) fn finished(&self) {
        self.change(State::Held, State::Refused);
    }

    fn change(&self, from: State, to: State) {
        self.0.send_if_modified(|state| {
            let changes = *state == from;
            if changes {
                *state = to;
            }
            changes
        });
    }
}

impl Gate {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        self.0.as_mut().poll(cx)
    }
}

async fn verdict(mut state: watch::Receiver<State>, bounds: Bounds) -> Result<(), Refused> {
    let silent = timeout(PATIENCE, state.wait_for(|state| *state != State::Closed))
        .await
        .is_err();
    if silent {
        bounds.hit(Hit::ContinueTime);
        return Ok(());
    }
    let last = state
        .wait_for(|state| matches!(state, State::Open | State::Refused))
        .await;
    match last.as_deref() {
        Ok(State::Open) => Ok(()),
        _ => Err(Refused),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    async fn opened(gate: Gate) -> Result<(), Refused> {
        gate.0.await
    }

    #[tokio::test(start_paused = true)]
    async fn an_origin_that_never_says_100_gets_the_body_after_a_second() {
        let (_key, gate) = gate(Bounds::default());
        let start = Instant::now();
        assert_eq!(opened(gate).await, Ok(()));
        assert_eq!(start.elapsed(), PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_100_or_a_success_lets_the_body_go_at_once() {
        for open in [Key::go_on, |key: &Key| key.answered(StatusCode::CREATED)] {
            let (key, gate) = gate(Bounds::default());
            open(&key);
            let start = Instant::now();
            assert_eq!(opened(gate).await, Ok(()));
            assert!(start.elapsed().is_zero());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_holds_the_body_until_its_answer_is_over() {
        let (key, mut gate) = gate(Bounds::default());
        key.answered(StatusCode::UNAUTHORIZED);
        let early = timeout(PATIENCE * 10, std::future::poll_fn(|cx| gate.poll(cx))).await;
        assert!(early.is_err());
        key.go_on();
        key.finished();
        assert_eq!(opened(gate).await, Err(Refused));
    }
}
