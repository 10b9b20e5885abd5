use proptest::prelude::*;

use super::{Action::*, Input::*, *};

fn auto(udp_failed: bool) -> (Race, Vec<Action>, Instant) {
    let now = Instant::now();
    let (race, actions) = Race::start(TransportChoice::Auto, udp_failed, now);
    (race, actions, now)
}

#[test]
fn quic_that_answers_in_time_is_alone() {
    let (mut race, actions, now) = auto(false);
    assert_eq!(actions, [Connect(Quic)]);
    assert_eq!(race.timer(), Some(now + HEAD_START));
    let soon = now + Duration::from_millis(40);
    assert_eq!(race.input(Connected(Quic), soon), [SayHello(Quic)]);
    assert_eq!(race.input(Welcomed(Quic), soon), []);
    assert_eq!(race.outcome(), Outcome::Won(Quic));
    assert_eq!(race.timer(), None);
    assert!(!race.udp_seems_blocked());
}

#[test]
fn blocked_udp_costs_a_quarter_second_and_then_nothing() {
    let (mut race, _, now) = auto(false);
    let later = now + HEAD_START;
    assert_eq!(race.tick(later), [Connect(Tcp)]);
    assert_eq!(race.input(Connected(Tcp), later), [SayHello(Tcp)]);
    assert_eq!(race.input(Welcomed(Tcp), later), [Drop(Quic)]);
    assert_eq!(race.outcome(), Outcome::Won(Tcp));
    assert!(race.udp_seems_blocked());

    let (_, actions, _) = auto(true);
    assert_eq!(actions, [Connect(Quic), Connect(Tcp)]);
}

#[test]
fn quic_that_fails_at_once_starts_tcp_at_once() {
    let (mut race, _, now) = auto(false);
    assert_eq!(race.input(Failed(Quic), now), [Connect(Tcp)]);
    assert_eq!(race.input(Failed(Tcp), now), []);
    assert_eq!(race.outcome(), Outcome::Lost);
}

#[test]
fn only_one_says_hello_until_patience_ends() {
    let (mut race, _, now) = auto(true);
    assert_eq!(race.input(Connected(Quic), now), [SayHello(Quic)]);
    assert_eq!(race.input(Connected(Tcp), now), []);
    assert_eq!(race.timer(), Some(now + PATIENCE));
    assert_eq!(race.tick(now + PATIENCE / 2), []);
    assert_eq!(race.tick(now + PATIENCE), [SayHello(Tcp)]);
    assert_eq!(
        race.input(Welcomed(Tcp), now + PATIENCE),
        [Drop(Quic)],
        "the path that swallowed the hello is given up"
    );
}

#[test]
fn a_parked_connection_takes_over_when_the_first_is_lost() {
    let (mut race, _, now) = auto(true);
    race.input(Connected(Tcp), now);
    assert_eq!(race.input(Connected(Quic), now), []);
    assert_eq!(race.input(Failed(Tcp), now), [SayHello(Quic)]);
}

#[test]
fn a_dead_edge_is_given_up_before_the_handshake_times_out() {
    let (mut race, _, now) = auto(true);
    assert_eq!(race.input(Failed(Tcp), now), []);
    assert_eq!(race.timer(), Some(now + LAST_CHANCE));
    assert_eq!(race.tick(now + LAST_CHANCE), [Drop(Quic)]);
    assert_eq!(race.outcome(), Outcome::Lost);
}

#[test]
fn a_choice_is_obeyed() {
    let now = Instant::now();
    let (mut quic, actions) = Race::start(TransportChoice::Quic, true, now);
    assert_eq!(actions, [Connect(Quic)]);
    assert_eq!(quic.input(Failed(Quic), now), []);
    assert_eq!(quic.outcome(), Outcome::Lost);
    let (_, actions) = Race::start(TransportChoice::Tcp, false, now);
    assert_eq!(actions, [Connect(Tcp)]);
}

proptest! {
    /// Whatever the network does, in whatever order: nothing is dialled or greeted twice, hellos overlap only after
    /// patience, and the race ends.
    #[test]
    fn any_course_ends_and_asks_for_nothing_twice(
        udp_failed: bool,
        course in prop::collection::vec((0u8..4, any::<bool>(), 0u64..3000), 0..12),
    ) {
        let (mut race, mut todo, mut now) = auto(udp_failed);
        let (mut asked, mut greeting): (Vec<Action>, Vec<(TransportKind, Instant)>) = Default::default();
        let mut steps = course.into_iter();
        while race.outcome() == Outcome::Running {
            for action in todo.drain(..) {
                prop_assert!(!asked.contains(&action), "{action:?} twice");
                if let SayHello(kind) = action {
                    for (_, since) in greeting.iter().filter(|(k, _)| *k != kind) {
                        prop_assert!(now >= *since + PATIENCE);
                    }
                    greeting.push((kind, now));
                }
                asked.push(action);
            }
            // When the course is over, everything that was asked for fails, so the race must end.
            let (what, quic, wait) = steps.next().unwrap_or((3, greeting.is_empty(), 100_000));
            let kind = if quic { Quic } else { Tcp };
            now += Duration::from_millis(wait);
            let lane = *race.lane(kind);
            let possible = match (what, lane) {
                (1, Lane::Connecting) => Some(Connected(kind)),
                (2, Lane::Greeting(_)) => Some(Welcomed(kind)),
                (3, Lane::Connecting | Lane::Greeting(_) | Lane::Connected) => Some(Failed(kind)),
                (3, _) if steps.len() == 0 => {
                    let lane = *race.lane(other(kind));
                    matches!(lane, Lane::Connecting | Lane::Greeting(_) | Lane::Connected)
                        .then_some(Failed(other(kind)))
                }
                _ => None,
            };
            todo = match possible {
                Some(input) => {
                    if let Failed(kind) = input { greeting.retain(|(k, _)| *k != kind); }
                    race.input(input, now)
                }
                None if race.timer().is_some_and(|at| at <= now) => race.tick(now),
                None => Vec::new(),
            };
        }
        prop_assert!(race.timer().is_none() || race.outcome() != Outcome::Running);
    }
}
