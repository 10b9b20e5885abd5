//! Starts the real binary and the real programs around it, waits for what they say, and leaves nothing behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod configured;
mod dev;
mod etcd;
mod namespaces;
mod origin;
mod process;
mod tools;

pub use self::{
    configured::{Authority, Configured, User, write_secret},
    dev::{Dev, Share},
    etcd::{EtcdCluster, EtcdNode, EtcdOptions, EtcdTls},
    namespaces::Namespaces,
    origin::{Origin, echo, http_files, silent, speaks_first},
    process::{Process, WAIT},
    tools::{
        adit, free_port, free_ports, install_crypto, libfaketime, program, python,
        root_of_repository, run,
    },
};
