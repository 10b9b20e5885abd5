//! The vocabulary of adit: one type per noun of the lexicon, parsed once at the border and trusted after.
//!
//! Nothing here reads a clock, a socket or a random source; what needs one takes it as an argument.

mod agent;
mod bound;
mod congestion;
mod endpoint;
mod facts;
mod grant;
mod hostname;
mod ids;
mod network;
mod proxy_protocol;
mod region;
mod revision;
mod role;
mod time;
mod usage;

pub use agent::{AgentName, AgentNameError};
pub use bound::Hits;
pub use congestion::{Congestion, CongestionError};
pub use endpoint::{Endpoint, EndpointName, EndpointNameError, Kind, KindError, Sharing};
pub use facts::{EdgeFact, PlacementFact, Revocation, RevocationFact};
pub use grant::{Grant, GrantLimits, GrantedEndpoint};
pub use hostname::{HostPattern, Hostname, HostnameError, Label};
pub use ids::{
    AccountId, AgentId, ApiKeyId, ClaimId, EdgeId, GrantId, IdError, KeyId, SessionId, TokenId,
};
pub use network::{Network, NetworkError};
pub use proxy_protocol::{ProxyProtocol, ProxyProtocolError};
pub use region::{Region, RegionError};
pub use revision::Revision;
pub use role::{Role, RoleError};
pub use time::UnixTime;
pub use usage::{Usage, UsageDay, UsageEntry, UsageReport};
