//! The edge's HTTP proxy: a visitor's HTTP/1.1 or HTTP/2 in, an origin's HTTP/1.1 or h2c over a tunnel stream out.
//!
//! Data takes this path: [`serve`] (one visitor's connection) → `authority` (who is asked for) → `proxy` (one request) →
//! `headers` → [`pool`] or `upgrade` (the origin's side) → `body` → back. What goes wrong becomes a `fault`, and every
//! request ends as one [`Visit`] in the access log. The rest of the edge is behind two traits, [`Routes`] and [`Endpoint`].

mod access;
mod authority;
mod body;
mod fault;
mod gate;
mod headers;
mod meter;
mod metrics;
mod origin;
pub mod pool;
mod proxy;
mod serve;
mod sniff;
mod splice;
mod tasks;
mod upgrade;
mod visitor;

pub(crate) use self::splice::HALF_CLOSED;
pub use self::{
    access::{AccessLog, End, Visit},
    metrics::HttpMetrics,
    origin::{Duplex, Endpoint, OriginError, OriginIo, RouteError, Routes, Terms},
    serve::{Limits, Shared, serve},
    splice::{Copied, splice},
    visitor::{TlsInfo, VisitorConnection},
};

#[cfg(test)]
mod tests;
