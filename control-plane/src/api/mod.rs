//! gRPC: each call is authenticated, converted, decided by [`Core`] and converted back.

mod accounts;
mod auth;
mod edges;
mod endpoints;
mod keys;
mod provider;
mod tokens;

use std::{sync::Arc, time::SystemTime};

use model::UnixTime;
use proto::v1;
use tonic::service::Routes;

use crate::Core;

/// Octets of one request: a thousand claims in one wish fit many times over.
const MAX_REQUEST: usize = 256 * 1024;

/// One service for all of `adit.v1`.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    core: Arc<Core>,
}

/// Every gRPC service, health and reflection among them.
pub(crate) fn routes(core: Arc<Core>) -> Result<Routes, tonic_reflection::server::Error> {
    let api = Api { core };
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    // Liveness of the process is what health tells; the store being away fails the calls that need it.
    let (_, health) = tonic_health::server::health_reporter();
    let limited = MAX_REQUEST;
    Ok(Routes::new(
        v1::provider_server::ProviderServer::new(api.clone()).max_decoding_message_size(limited),
    )
    .add_service(
        v1::endpoints_server::EndpointsServer::new(api.clone()).max_decoding_message_size(limited),
    )
    .add_service(
        v1::tokens_server::TokensServer::new(api.clone()).max_decoding_message_size(limited),
    )
    .add_service(v1::edges_server::EdgesServer::new(api.clone()).max_decoding_message_size(limited))
    .add_service(v1::keys_server::KeysServer::new(api.clone()).max_decoding_message_size(limited))
    .add_service(v1::accounts_server::AccountsServer::new(api).max_decoding_message_size(limited))
    .add_service(reflection)
    .add_service(health))
}

fn now() -> UnixTime {
    SystemTime::now().into()
}
