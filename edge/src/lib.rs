//! The edge: takes visitors and agents, and brings each visitor's bytes to the session that serves the name or port.
//!
//! A visit goes `listen` → `route` → `session` → the agent. What the edge knows is a watched copy of `public/`
//! (`route::facts`); what it writes is one fact about itself and one about each session (`place`). It needs the store to
//! learn of changes, never to serve a visit.

mod access;
mod bounds;
mod carry;
mod certificate;
mod config;
mod connection;
mod flow;
mod flows;
pub mod http;
mod listen;
mod metrics;
mod place;
mod quiet;
mod route;
mod server;
mod session;
mod snapshot;
mod trace;
mod usage;

pub use self::{
    access::{Connection, ConnectionEnd, VisitLog},
    certificate::{
        CertificateError, CertificateFileError, CertificateFiles, CertificateSource,
        FileCertificates, ReadCertificate,
    },
    config::{Config, Limits, PlainHttp, PublicAddress, Reserved, ResetKey},
    http::{AccessLog, End, Visit},
    server::{Addresses, BindError, Edge, NotReady, Parts, Readiness, Standing},
    snapshot::{FoundSnapshot, Joined, SnapshotConfig},
    usage::{UsageError, UsageSink},
};

/// Readers of strangers' bytes, for the fuzz targets of this workspace; not part of the API.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::listen::is_client_hello;
}

#[cfg(test)]
mod tests;
