//! What the control plane counts.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) claims: Counter,
    pub(crate) tokens: Counter,
    pub(crate) revocations: Counter,
    pub(crate) refused_keys: Counter,
    pub(crate) bounds: Bounds,
}

/// How often each bound was hit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) endpoints: Counter,
    pub(crate) revoked_ids: Counter,
    pub(crate) connections: Counter,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("control");
        registry.register("claims", "Endpoints claimed", metrics.claims.clone());
        registry.register("tokens", "Tokens issued", metrics.tokens.clone());
        registry.register(
            "revocations",
            "Revocations written",
            metrics.revocations.clone(),
        );
        registry.register(
            "refused_keys",
            "Calls refused for their API key",
            metrics.refused_keys.clone(),
        );
        let bounds = metrics.bounds.endpoints.clone();
        registry.register(
            "bound_endpoints",
            "Claims refused because an account has all it may have",
            bounds,
        );
        registry.register(
            "bound_revoked_ids",
            "Revocations refused because as many ids are revoked as may be",
            metrics.bounds.revoked_ids.clone(),
        );
        registry.register(
            "bound_connections",
            "Connections refused because as many are open as may be",
            metrics.bounds.connections.clone(),
        );
        metrics
    }
}
