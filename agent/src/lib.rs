//! The agent: holds sessions with edges and forwards the streams that they open to local origins.
//!
//! ```no_run
//! # async fn share(tokens: std::sync::Arc<dyn agent::TokenSource>, roots: rustls::RootCertStore) -> Result<(), Box<dyn std::error::Error>> {
//! let agent = agent::Agent::builder().tokens(tokens).roots(roots).build()?;
//! let tunnel = agent.bind(Vec::new());
//! let target: agent::Target = "3000".parse()?;
//! agent::forward(&tunnel, &target, &agent::OriginOptions::default()).await?;
//! # Ok(()) }
//! ```
//!
//! An application that has no port of its own takes streams from [`Tunnel::accept`] instead.

mod bounds;
mod builder;
mod copy;
mod dial;
mod error;
mod event;
mod flow;
mod forward;
mod hint;
mod oauth;
mod origin;
mod origins;
mod policy;
mod reach;
mod resume;
mod session;
mod shared;
mod source;
mod status;
mod supervisor;
mod trace;
mod tunnel_handle;

pub use bounds::{Bound, bounds_hit};
pub use builder::{Agent, AgentBuilder, TransportChoice};
pub use dial::{ChannelError, Location, LocationError, channel, tcp as dial_tcp};
pub use error::{BuildError, TunnelError};
pub use event::{Connected, Event, Why};
pub use flow::datagrams_carried;
pub use forward::{ForwardError, OriginOptions, forward};
pub use hint::Server as Hint;
pub use oauth::{AccessToken, AuthorizationServer, DeviceCode, SignInError};
pub use origin::{
    Address, FileKind, Origin, OriginTls, Target, TargetError, TrustError,
    probe::{ProbeError, probe},
};
pub use origins::{Origins, forward_each};
pub use reach::{Reached, addresses, reach_quic, reach_tcp, reach_websocket};
pub use session::{Incoming, Stream};
pub use shared::EVENTS_KEPT;
pub use source::{
    ControlPlane, ControlPlaneError, Issued, StaticToken, TokenSource, TokenSourceError,
    TokenSourceErrorKind, TokenWhy,
};
pub use status::{Phase, Status};
pub use tunnel_handle::Tunnel;

/// Readers of strangers' bytes, for the fuzz targets of this workspace; not part of the API.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::hint::scan_all;
}
