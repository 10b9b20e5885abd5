//! What a peer may do wrong, and what that costs.

use std::{task::Waker, time::Duration};

use proptest::prelude::*;

use super::{
    super::{
        MuxError, Violation,
        error::Broken,
        flow::FIRST_WINDOW,
        frame::{Flags, Header, Kind},
    },
    raw::{NONE, Raw, SYN},
};
use crate::Code;

/// What the frames that `act` sends end the session with.
fn violation(act: impl FnOnce(&mut Raw)) -> Violation {
    let mut raw = Raw::new(10);
    act(&mut raw);
    let Some(MuxError::Protocol(violation)) = raw.session.over().cloned() else {
        panic!("{:?}", raw.session.over());
    };
    let last = raw.answers().pop().unwrap();
    assert_eq!((last.kind, last.length), (Kind::GoAway, 1));
    violation
}

#[test]
fn each_violation_ends_the_session() {
    let seen = |act: fn(&mut Raw)| violation(act);
    assert_eq!(
        seen(|raw| raw.session.receive(&[9; 12], raw.now)),
        Violation::Version(9)
    );
    assert_eq!(
        seen(|raw| raw
            .session
            .receive(&[0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], raw.now)),
        Violation::FrameType(7)
    );
    assert_eq!(seen(|raw| raw.data(SYN, 0, b"x")), Violation::StreamZero);
    assert_eq!(seen(|raw| raw.data(SYN, 2, b"x")), Violation::StreamId(2));
    assert_eq!(
        seen(|raw| {
            raw.data(SYN, 1, b"x");
            raw.data(SYN, 1, b"x");
        }),
        Violation::Duplicate(1)
    );
    assert_eq!(
        seen(|raw| raw.send(Kind::Data, SYN, 1, FIRST_WINDOW + 1)),
        Violation::WindowExceeded(1)
    );
    assert_eq!(
        seen(|raw| raw.send(Kind::Window, SYN, 1, u32::MAX - 5)),
        Violation::WindowOverflow(1)
    );
    assert_eq!(
        seen(|raw| {
            raw.data(SYN | Flags::FIN, 1, b"x");
            raw.data(NONE, 1, b"x");
        }),
        Violation::DataAfterEnd(1)
    );
    assert_eq!(
        seen(|raw| raw.send(Kind::Data, NONE, 77, 1)),
        Violation::Strays
    );
}

#[test]
fn pings_whose_answers_are_not_read_end_the_session() {
    let flood = violation(|raw| {
        for n in 0..10_000 {
            raw.send(Kind::Ping, SYN, 0, n);
        }
    });
    assert_eq!(flood, Violation::Flood);
    let mut raw = Raw::new(10);
    for n in 0..10_000 {
        raw.send(Kind::Ping, SYN, 0, n);
        let pong = raw.answers();
        assert_eq!(
            (pong.len(), pong[0].length, pong[0].flags),
            (1, n, Flags::ACK)
        );
    }
}

#[test]
fn arrivals_that_are_never_heard_of_end_the_session() {
    let flood = violation(|raw| {
        raw.session.admit(1_000_000);
        for n in 0..10_000 {
            raw.send(Kind::Window, SYN, 2 * n + 1, 0);
            raw.send(Kind::Window, Flags::RST, 2 * n + 1, 0);
            assert_eq!(raw.session.accept().unwrap_or_default(), None, "taken back");
        }
    });
    assert_eq!(flood, Violation::Flood);
}

#[test]
fn streams_beyond_the_limit_are_refused_and_then_end_the_session() {
    let mut raw = Raw::new(1);
    raw.data(SYN, 1, b"first");
    for n in 1..=256 {
        raw.data(SYN, 2 * n + 1, b"beyond");
        // What was under way before the refusal arrived.
        raw.data(NONE, 2 * n + 1, b"and more");
        let refusal = raw
            .answers()
            .into_iter()
            .find(|frame| frame.flags == Flags::RST);
        let refusal = refusal.unwrap();
        assert_eq!((refusal.stream, refusal.length), (2 * n + 1, 0x22));
    }
    assert_eq!(raw.session.stats().refused, 256);
    assert_eq!(raw.session.stats().streams, 1);
    raw.data(SYN, 1001, b"beyond");
    let over = raw.session.over().unwrap();
    assert_eq!(over, &MuxError::Protocol(Violation::TooManyStreams));
}

#[test]
fn an_ended_stream_makes_room_though_its_handle_lives() {
    let mut raw = Raw::new(1);
    for id in [1, 3] {
        raw.data(SYN | Flags::FIN, id, b"x");
        assert_eq!(raw.session.accept(), Ok(Some(id)));
        raw.session.shutdown(id).unwrap();
    }
    raw.data(SYN, 5, b"x");
    assert_eq!(
        raw.session.stats().refused,
        1,
        "two handles are held for one stream"
    );
    raw.session.forget(1);
    raw.data(SYN, 7, b"x");
    assert_eq!(raw.session.accept(), Ok(Some(7)));
}

#[test]
fn frames_under_way_after_a_reset_are_tolerated_to_the_last_byte() {
    let mut raw = Raw::new(10);
    raw.data(SYN, 1, b"hello");
    raw.session.accept().unwrap();
    raw.session.forget(1);
    raw.data(NONE, 1, &vec![0; FIRST_WINDOW as usize - 5]);
    for _ in 0..1000 {
        raw.send(Kind::Window, NONE, 1, 1000);
    }
    raw.send(Kind::Window, Flags::FIN, 1, 0);
    assert_eq!(raw.session.over(), None);
    assert_eq!(raw.session.stats().strays, 1002);
    raw.data(NONE, 1, b"x");
    assert_eq!(
        raw.session.over(),
        Some(&MuxError::Protocol(Violation::Strays))
    );
}

#[test]
fn window_updates_for_nobody_are_bounded() {
    let strays = violation(|raw| {
        for _ in 0..65 {
            raw.send(Kind::Window, NONE, 99, 1);
        }
    });
    assert_eq!(strays, Violation::Strays);
}

#[test]
fn a_reset_keeps_what_came_before_and_an_end_stays_an_end() {
    let mut raw = Raw::new(10);
    raw.data(SYN, 1, b"abc");
    raw.send(Kind::Window, Flags::RST, 1, 0x20);
    raw.data(SYN | Flags::FIN, 3, b"def");
    raw.send(Kind::Data, Flags::RST, 3, 0);
    assert_eq!(
        (raw.read(1, 10), raw.read(3, 10), raw.read(3, 10)),
        (3, 3, 0)
    );
    let write = |raw: &mut Raw, id| raw.session.poll_write(id, b"x", Waker::noop());
    assert_eq!(
        write(&mut raw, 1),
        std::task::Poll::Ready(Err(Broken::Reset(Code::OriginRefused)))
    );
    assert_eq!(
        write(&mut raw, 3),
        std::task::Poll::Ready(Err(Broken::Reset(Code::Aborted)))
    );
}

#[test]
fn arrivals_are_told_with_the_first_answer_or_soon() {
    let mut raw = Raw::new(1000);
    // The ping of the start is not what this is about.
    raw.session.tick(raw.now);
    raw.answers();
    let acks = |frames: Vec<Header>| {
        frames
            .iter()
            .filter(|frame| frame.flags.has(Flags::ACK))
            .count()
    };
    raw.data(SYN, 1, b"x");
    assert!(!raw.session.has_output());
    let _ = raw.session.poll_write(1, b"answer", Waker::noop());
    let frames = raw.answers();
    assert_eq!(
        (frames.len(), frames[0].kind, acks(frames)),
        (1, Kind::Data, 1)
    );
    raw.data(SYN, 3, b"x");
    assert_eq!(raw.session.deadline(), raw.now + Duration::from_millis(5));
    raw.session.tick(raw.now);
    assert_eq!(raw.answers(), []);
    raw.now += Duration::from_millis(5);
    raw.session.tick(raw.now);
    assert_eq!(acks(raw.answers()), 1);
    assert!(raw.session.deadline() > raw.now);
    for n in 0..32 {
        raw.send(Kind::Window, SYN, 2 * n + 5, 0);
    }
    assert_eq!(acks(raw.answers()), 32, "many at once do not wait");
}

#[test]
fn windows_grow_for_admitted_peers_only() {
    let half = FIRST_WINDOW / 2;
    let mut raw = Raw::new(1);
    let credit = |raw: &mut Raw, flags, body: u32| {
        raw.data(flags, 1, &vec![0; body as usize]);
        raw.read(1, body as usize);
        let updates = raw.answers().into_iter();
        updates
            .filter(|frame| frame.kind == Kind::Window)
            .map(|frame| frame.length)
            .sum::<u32>()
    };
    assert_eq!(credit(&mut raw, SYN, half - 1), 0, "not worth a frame");
    assert_eq!(credit(&mut raw, NONE, 1), half);
    raw.session.admit(10);
    assert_eq!(credit(&mut raw, NONE, half), half + FIRST_WINDOW);
    assert_eq!(credit(&mut raw, NONE, FIRST_WINDOW), 3 * FIRST_WINDOW);
}

#[test]
fn an_old_go_peer_sees_an_end_beside_an_arrival() {
    let mut raw = Raw::new(10);
    raw.data(SYN, 1, b"x");
    raw.session.shutdown(1).unwrap();
    let flags: Vec<Flags> = raw.answers().iter().map(|frame| frame.flags).collect();
    assert_eq!(flags, [Flags::ACK, Flags::FIN]);
}

proptest! {
    #[test]
    fn nothing_panics_and_nothing_grows(reads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
        let mut raw = Raw::new(10);
        for read in reads {
            raw.session.receive(&read, raw.now);
        }
        prop_assert!(raw.session.out.len() < 100_000);
    }

    /// Well-formed headers in any order, of few streams.
    #[test]
    fn any_frames_are_survived(frames in prop::collection::vec((0..4_u8, 0..16_u8, 0..6_u8, any::<u16>(), any::<bool>()), 0..200)) {
        let mut raw = Raw::new(3);
        for (kind, flags, stream, length, accept) in frames {
            let [high, low] = length.to_be_bytes();
            raw.session.receive(&[0, kind, 0, flags, 0, 0, 0, stream, 0, 0, high, low], raw.now);
            if kind == 0 {
                raw.session.receive(&vec![0; length.into()], raw.now);
            }
            if accept && let Ok(Some(id)) = raw.session.accept() {
                raw.read(id, 1000);
                raw.session.forget(id);
            }
            raw.answers();
            let session = &raw.session;
            prop_assert!(session.peer_open <= 3 && session.peer_held <= 6);
            let theirs = session.streams.values().filter(|state| state.theirs).count();
            prop_assert_eq!(session.peer_held as usize, theirs);
            let open = session.streams.values().filter(|state| state.counted).count();
            prop_assert_eq!(session.peer_open as usize, open);
        }
    }
}
