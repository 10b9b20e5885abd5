//! The control plane: who owns which name, who may bind it, and with which keys that is said.
//!
//! [`Core`] decides and commits; `api` speaks gRPC for it and `web` HTTP, on one port. Any number of control planes may
//! work on one store: every decision is a compare-and-commit.

mod api;
mod config;
mod core;
mod dev_ca;
mod error;
mod listen;
mod metrics;
mod oauth;
mod server;
mod web;

#[cfg(test)]
mod tests;

pub use self::{
    config::Config,
    core::{
        AgentWish, Caller, ClaimWish, Core, CreatedKey, IssueWish, Issued, Joined,
        PreparedAdministrator,
    },
    dev_ca::{DevCa, DevCaError, IssuedCertificate},
    error::{ControlError, ErrorCode},
    server::{BindError, ControlPlane, Readiness},
};
