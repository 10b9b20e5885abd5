//! The figures of docs/reliability.md: `cargo test -p tests --test faults -- --ignored --nocapture`.

use std::{
    env, thread,
    time::{Duration, Instant},
};

use crate::{
    flow::{Counts, Flow},
    site::{EDGES, Site},
};

const STEADY: u64 = 20;
/// How long a process hangs: longer than any deadline that is to notice it.
const HANGS: Duration = Duration::from_secs(20);

#[test]
#[ignore = "takes some minutes; its figures stand in docs/reliability.md"]
fn long_turns() {
    let mut site = Site::start(3);
    let visits = begin(&site);
    lasts(Duration::from_secs(10));
    row("nothing, for 10 s", &visits);
    for at in 0..3 {
        site.etcd.node(at).kill();
        visits.is_served(STEADY);
        site.etcd.node(at).begin();
        assert!(site.etcd.wait_until_healthy());
        row(
            &format!("kill -9 of etcd node {at}, started again"),
            &visits,
        );
    }
    let leader = site.etcd.leader();
    site.etcd.node(leader).pause();
    lasts(HANGS);
    site.etcd.node(leader).resume();
    assert!(site.etcd.wait_until_healthy());
    row("SIGSTOP of etcd's leader", &visits);
    for name in Site::names() {
        site.kill(name);
        site.begin(name);
        visits.is_served(STEADY);
        row(&format!("kill -9 of {name}, started again"), &visits);
    }
    for name in Site::names() {
        site.pause(name);
        lasts(HANGS);
        site.resume(name);
        visits.is_served(STEADY);
        row(&format!("SIGSTOP of {name}"), &visits);
    }
}

/// For as many seconds as ADIT_FAULTS_SECONDS says, or ten minutes.
#[test]
#[ignore = "takes ten minutes; its figures stand in docs/reliability.md"]
fn long_outage() {
    let seconds = env::var("ADIT_FAULTS_SECONDS").map_or(600, |text| text.parse().unwrap());
    let part = Duration::from_secs(seconds) / 2;
    let mut site = Site::start(3);
    let visits = begin(&site);
    (0..3).for_each(|at| site.etcd.node(at).kill());
    lasts(part);
    row(&format!("all of etcd away, for {part:?}"), &visits);
    for name in EDGES {
        site.kill(name);
        site.begin(name);
        visits.is_served(STEADY);
        row(
            &format!("kill -9 of {name} meanwhile, started again"),
            &visits,
        );
    }
    lasts(part);
    row(&format!("all of etcd away, for {part:?} more"), &visits);
    (0..3).for_each(|at| site.etcd.node(at).begin());
    assert!(site.etcd.wait_until_healthy());
    let token = site.token_at_last("afterwards");
    drop(site.agent_with(&token));
    visits.is_served(STEADY);
    row("etcd comes back, and a new name is served", &visits);
}

fn begin(site: &Site) -> Flow {
    let visits = site.visits();
    visits.is_served(STEADY);
    visits.take();
    println!(
        "| what happened | served | by the other edge | failed | longest gap | causes |\n|---|---|---|---|---|---|"
    );
    visits
}

/// Here time itself is what is measured.
fn lasts(time: Duration) {
    let over = Instant::now() + time;
    while Instant::now() < over {
        thread::sleep(Duration::from_millis(100));
    }
}

fn row(what: &str, visits: &Flow) {
    let counts: Counts = visits.take();
    let causes = counts
        .failed
        .iter()
        .map(|(cause, count)| format!("{cause}: {count}"));
    println!(
        "| {what} | {} | {} | {} | {:.2} s | {} |",
        counts.served,
        counts.moved,
        counts.failures(),
        counts.gap.as_secs_f64(),
        causes.collect::<Vec<_>>().join(", ")
    );
}
