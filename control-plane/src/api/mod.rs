//! gRPC: each call is authenticated, converted, decided by [`Core`] and converted back.

mod accounts;
mod agents;
mod audit;
mod auth;
mod backups;
mod consents;
mod edges;
mod endpoints;
mod keys;
mod provider;
mod stream;
mod tokens;
mod usage;

use std::{sync::Arc, time::SystemTime};

use model::UnixTime;
use proto::v1;
use tokio::sync::Semaphore;
use tonic::service::Routes;

use crate::Core;

/// Octets of one request: a thousand claims in one wish fit many times over.
const MAX_REQUEST: usize = 256 * 1024;

/// Backups and followers of the audit log at a time: a few people and programs, each with a page of the store in hand.
const MAX_LONG_CALLS: usize = 16;

/// One service for all of `adit.v1`.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    core: Arc<Core>,
    /// Places for calls that answer for long.
    long_calls: Arc<Semaphore>,
}

/// Every gRPC service, health and reflection among them.
pub(crate) fn routes(core: Arc<Core>) -> Result<Routes, tonic_reflection::server::Error> {
    let api = Api {
        core,
        long_calls: Arc::new(Semaphore::new(MAX_LONG_CALLS)),
    };
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
    .add_service(v1::usage_server::UsageServer::new(api.clone()).max_decoding_message_size(limited))
    .add_service(
        v1::accounts_server::AccountsServer::new(api.clone()).max_decoding_message_size(limited),
    )
    .add_service(
        v1::agents_server::AgentsServer::new(api.clone()).max_decoding_message_size(limited),
    )
    .add_service(
        v1::consents_server::ConsentsServer::new(api.clone()).max_decoding_message_size(limited),
    )
    .add_service(v1::audit_server::AuditServer::new(api.clone()).max_decoding_message_size(limited))
    .add_service(v1::backups_server::BackupsServer::new(api).max_decoding_message_size(limited))
    .add_service(reflection)
    .add_service(health))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn now() -> UnixTime {
    SystemTime::now().into()
}
