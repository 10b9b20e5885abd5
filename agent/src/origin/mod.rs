//! What a stream is forwarded to.

pub(crate) mod connect;
pub(crate) mod files;
pub(crate) mod probe;
mod target;
mod trust;
pub(crate) mod welcome;

pub use target::{Address, FileKind, Origin, Target, TargetError};
pub(crate) use trust::alpn;
pub use trust::{OriginTls, TrustError};
