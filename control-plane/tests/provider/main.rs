//! The control plane as its clients see it: real sockets on port 0, a real tonic client, a store in memory.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod accounts;
mod agents;
mod audit;
mod claims;
mod equals;
mod harness;
mod oauth;
mod surface;
mod tokens;
mod upkeep;
mod usage;
