//! When a session on TCP tries QUIC again. Without this a network that blocked UDP for a moment would leave the agent
//! on the slower binding for as long as it lives.

use std::time::Duration;

use tokio::time::Instant;
use tunnel::TransportKind;

use crate::TransportChoice;

/// Often enough that nobody stays on TCP for long, seldom enough to be no load where UDP never gets through.
pub(crate) const EVERY: Duration = Duration::from_secs(600);
/// Part of the period that is left to the dice, so that agents that fell back together do not return together.
const SPREAD: f64 = 0.1;

/// The moment to try QUIC again, counted from the session's start or from the last try; none where QUIC is in use or
/// not wanted.
pub(crate) fn next_try(
    choice: TransportChoice,
    in_use: TransportKind,
    every: Duration,
    last: Instant,
    dice: f64,
) -> Option<Instant> {
    let wanted = choice == TransportChoice::Auto && in_use != TransportKind::Quic;
    wanted.then(|| last + every.mul_f64(1.0 + SPREAD * dice.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_automatic_choice_that_ended_on_tcp_goes_back() {
        let now = Instant::now();
        let at = |choice, kind| next_try(choice, kind, EVERY, now, 0.0);
        assert_eq!(
            at(TransportChoice::Auto, TransportKind::Tcp),
            Some(now + EVERY)
        );
        assert!(at(TransportChoice::Auto, TransportKind::WebSocket).is_some());
        assert_eq!(
            at(TransportChoice::WebSocket, TransportKind::WebSocket),
            None
        );
        assert_eq!(at(TransportChoice::Auto, TransportKind::Quic), None);
        assert_eq!(at(TransportChoice::Tcp, TransportKind::Tcp), None);
        assert_eq!(at(TransportChoice::Quic, TransportKind::Quic), None);
    }

    #[test]
    fn the_spread_is_a_tenth() {
        let now = Instant::now();
        let latest = next_try(TransportChoice::Auto, TransportKind::Tcp, EVERY, now, 1.0);
        assert_eq!(latest, Some(now + EVERY + EVERY / 10));
    }
}
