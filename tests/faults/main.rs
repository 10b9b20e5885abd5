//! Real processes over real etcd, under a steady flow of visits, while each of them dies or hangs in turn.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "all of this file is a test"
)]

mod clocks;
mod flow;
mod long;
mod outage;
mod site;
mod turns;
