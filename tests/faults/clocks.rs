//! Wall clocks that jump while processes run, one at a time, forwards and back: sessions and visits go on, new sessions open at
//! whoever has the right time, and nothing needs a restart.

use crate::{
    flow::Flow,
    site::{AGENTS, CONTROL_PLANES, Site},
};

const STEADY: u64 = 20;
/// Seconds: beyond the life of tokens, and beyond that of sessions.
pub(crate) const STEPS: [(&str, i64); 4] = [
    ("an hour ahead", 3_600),
    ("an hour behind", -3_600),
    ("two days ahead", 172_800),
    ("two days behind", -172_800),
];

#[test]
fn clocks_of_edges_and_agents_jump() {
    let mut site = Site::start(1);
    let visits = steady(&site);
    for name in ["e1", AGENTS[0]] {
        for (what, seconds) in STEPS {
            visits.take();
            site.step(name, seconds);
            visits.is_served(STEADY);
            // Who starts now finds an edge that has the right time.
            for agent in AGENTS {
                site.kill(agent);
                site.begin(agent);
            }
            visits.is_served(STEADY);
            site.step(name, 0);
            visits.is_served(STEADY);
            eprintln!("{name} {what}: {:?}", visits.take());
        }
    }
    site.placements_are_those_of_the_agents();
}

#[test]
fn clocks_of_control_planes_jump() {
    let site = Site::start(1);
    let visits = steady(&site);
    for name in CONTROL_PLANES {
        for (what, seconds) in STEPS {
            visits.take();
            site.step(name, seconds);
            visits.is_served(STEADY);
            let counts = visits.take();
            assert_eq!(counts.failures(), 0, "{name} {what}: {counts:?}");
        }
        site.step(name, 0);
    }
    // Its tokens are of another time; who gets one of these goes on asking until it is right.
    let (_, ahead) = STEPS[0];
    site.step("c1", ahead);
    let early = site.agent("early");
    early.wait_for_event(0, "disconnected");
    site.step("c1", 0);
    early.wait_for_event(0, "ready");
}

fn steady(site: &Site) -> Flow {
    let visits = site.visits();
    visits.is_served(STEADY);
    visits
}
