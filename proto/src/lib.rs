//! The gRPC contracts between our processes, and their conversion to the vocabulary.
//!
//! The `.proto` files under `adit/v1` are the source; a process that speaks to another one uses what is generated from
//! them, never a private copy.

/// What `proto/adit/v1` generates.
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    clippy::use_self,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    unused_qualifications,
    elided_lifetimes_in_paths,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("adit.v1");
}

mod convert;

pub use convert::{
    ConversionError, endpoint_to_proto, kind_from_proto, kind_to_proto, placement_to_proto,
    role_from_proto, role_to_proto, sharing_from_proto,
};

/// The contracts in their binary form, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Metadata with which a failed call names its error code (docs/errors.md).
pub const ERROR_METADATA: &str = "adit-error";
