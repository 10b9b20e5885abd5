//! The whole system as its users meet it: the real binary, and clients and origins that we did not write.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod admin;
mod balancer;
mod bounds;
mod browser;
mod clients;
mod command_line;
mod conformance;
mod doctor;
mod faults;
mod grpc;
mod hostile;
mod http;
mod load;
mod metrics;
mod ports;
mod proxy_protocol;
mod readme;
mod roles;
mod run_file;
mod serve;
mod service;
mod sign_in;
mod tab;
mod tls;
mod tokens;
mod traces;
mod udp;
mod usage;
mod websocket;

/// Every test of the data path runs over all bindings of our agent.
const TRANSPORTS: [&str; 3] = ["quic", "tcp", "websocket"];
