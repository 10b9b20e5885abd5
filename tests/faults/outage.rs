//! etcd wholly away: what was served is served on, sessions open anew with the tokens that agents have, an edge starts from its
//! snapshot, and afterwards everything finds its way back by itself.

use crate::site::{EDGES, Site};

const STEADY: u64 = 20;

#[test]
fn etcd_is_away_for_a_while() {
    let mut site = Site::start(1);
    let visits = site.visits();
    visits.is_served(STEADY);
    visits.take();
    site.snapshots_are_written();
    site.etcd.node(0).kill();
    visits.is_served(STEADY);
    let counts = visits.take();
    assert_eq!(counts.failures(), 0, "{counts:?}");

    // Its sessions go to the other edge, with the tokens that their agents have; both start from their snapshots.
    for name in EDGES {
        site.kill(name);
        site.begin(name);
        visits.is_served(STEADY);
    }
    site.etcd.node(0).begin();
    assert!(site.etcd.wait_until_healthy());
    // A new name needs control planes, edges and etcd.
    let token = site.token_at_last("afterwards");
    drop(site.agent_with(&token));
    visits.is_served(STEADY);
    site.placements_are_those_of_the_agents();
}
