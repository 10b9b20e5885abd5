//! The store over real etcd nodes: the contract, and what production does to etcd.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "all of this file is a test"
)]

mod contract;
