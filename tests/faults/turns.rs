//! Each process in turn: kill -9 and a new start, SIGSTOP and SIGCONT. What keeps no session costs no visit.

use crate::{
    flow::Flow,
    site::{AGENTS, CONTROL_PLANES, EDGES, Site},
};

/// Visits of each name that must be served in a row, before the next fault.
const STEADY: u64 = 20;

#[test]
fn each_process_is_killed_in_turn() {
    let mut site = Site::start(3);
    let visits = site.visits();
    visits.is_served(STEADY);
    for at in 0..3 {
        costs_nothing(&visits, &format!("kill -9 of etcd node {at}"), || {
            site.etcd.node(at).kill();
            visits.is_served(STEADY);
            site.etcd.node(at).begin();
            assert!(site.etcd.wait_until_healthy());
        });
    }
    for name in CONTROL_PLANES {
        costs_nothing(&visits, &format!("kill -9 of {name}"), || {
            site.kill(name);
            visits.is_served(STEADY);
            site.begin(name);
        });
    }
    for name in EDGES.into_iter().chain(AGENTS) {
        visits.take();
        site.kill(name);
        site.begin(name);
        visits.is_served(STEADY);
        eprintln!("kill -9 of {name}: {:?}", visits.take());
    }
}

#[test]
fn who_hangs_costs_no_visit_as_long_as_it_keeps_no_session() {
    let mut site = Site::start(3);
    let visits = site.visits();
    visits.is_served(STEADY);
    let leader = site.etcd.leader();
    costs_nothing(&visits, "SIGSTOP of etcd's leader", || {
        site.etcd.node(leader).pause();
        visits.is_served(STEADY);
        let token = site.token("while-the-leader-hangs");
        drop(site.agent_with(&token));
        site.etcd.node(leader).resume();
    });
    for name in CONTROL_PLANES {
        costs_nothing(&visits, &format!("SIGSTOP of {name}"), || {
            site.pause(name);
            visits.is_served(STEADY);
            site.resume(name);
        });
    }
}

fn costs_nothing(visits: &Flow, fault: &str, act: impl FnOnce()) {
    visits.take();
    act();
    visits.is_served(STEADY);
    let counts = visits.take();
    assert_eq!(counts.failures(), 0, "{fault}: {counts:?}");
}
