//! The agent over real sockets of this machine, against an edge that says what a test wants.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what goes wrong here is the test's result"
)]

mod binds;
mod edge;
mod forwarding;
mod provider;
mod sessions;
mod upgrade;
