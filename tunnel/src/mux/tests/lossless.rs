//! Any interleaving of what both sides do, with the wire cut anywhere; and who gets the wire when all want it.

use proptest::prelude::*;

use super::{
    super::outgoing::DATA_BOUND,
    world::{Step, World},
};

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let length = || prop_oneof![3 => 0..300_usize, 2 => 0..20_000_usize, 1 => 0..400_000_usize];
    let stream = || 0..8_usize;
    let step = prop_oneof![
        2 => Just(Step::Open),
        8 => (stream(), length()).prop_map(|(n, most)| Step::Write(n, most)),
        6 => (stream(), length()).prop_map(|(n, most)| Step::Read(n, most)),
        1 => stream().prop_map(Step::Shutdown),
        1 => stream().prop_map(Step::Reset),
        1 => stream().prop_map(Step::Drop),
        5 => Just(Step::Emit),
        6 => length().prop_map(Step::Deliver),
        2 => prop_oneof![Just(0_u64), 0..10_u64, 900..3000_u64].prop_map(Step::Wait),
    ];
    prop::collection::vec((0..2_usize, step), 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(steps in steps(), more in prop_oneof![Just(0_usize), Just(700_000)]) {
        let mut world = World::new();
        for (side, step) in &steps {
            world.step(*side, step);
        }
        world.drain(more);
        world.finished();
    }
}

#[test]
fn greedy_streams_share_the_wire() {
    let mut world = World::new();
    for _ in 0..40 {
        world.open(0);
    }
    let ids: Vec<u32> = world.ends[0].handles.keys().copied().collect();
    // Each writes whenever it is woken, and the other side reads all.
    for _ in 0..200 {
        for id in &ids {
            if world.ends[0].handles[id].writer.0.take() {
                while world.write(0, *id, 70_000) {}
            }
        }
        world.emit(0);
        world.deliver(0, usize::MAX);
        for id in &ids {
            if world.ends[1].handles.contains_key(id) {
                while world.read(1, *id, 70_000).is_some() {}
            }
        }
        world.emit(1);
        world.deliver(1, usize::MAX);
        world.check();
    }
    let written = || world.ends[0].sends.values().map(|sent| sent.written);
    let (least, most) = (written().min().unwrap(), written().max().unwrap());
    // Turns grow with use, so who came first is ahead by some.
    assert!(most <= 2 * least, "{least} to {most}");
    assert!(
        least > 200 * DATA_BOUND / 40 / 2,
        "the wire was not filled: {least}"
    );
}

#[test]
fn a_turn_that_is_not_used_is_passed_on() {
    let mut world = World::new();
    for _ in 0..100 {
        world.open(0);
    }
    let ids: Vec<u32> = world.ends[0].handles.keys().copied().collect();
    for id in &ids {
        while world.write(0, *id, 70_000) {}
    }
    // Nobody but the last one ever asks again.
    let last = ids[99];
    let mut rounds = 0;
    while !(world.ends[0].handles[&last].writer.0.take() && world.write(0, last, 10)) {
        world.emit(0);
        rounds += 1;
        assert!(rounds < 100, "starved behind streams that gave up");
    }
}
