//! The kit of `adit conformance` must fail each broken peer over the one case that it breaks, and over no other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod agent_faults;
mod agents;
mod edge_faults;
mod edges;
mod fault;
mod proxy;
mod quic;
mod seen;
