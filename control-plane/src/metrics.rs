//! What the control plane counts. Labels are small closed sets, and all of them are there from the start.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

model::named_bounds! {
    /// Which of the control plane's bounds was hit. docs/bounds.md says which constant each of them is.
    pub(crate) enum Hit {
        /// Endpoints of an account.
        Endpoints = "endpoints",
        /// Tokens and grants that are revoked by id.
        RevokedIds = "revoked_ids",
        /// Connections at a time.
        Connections = "connections",
        /// The time for a connection's first bytes.
        HeadTime = "head_time",
        /// The time that calls get when the process stops.
        LeaveTime = "leave_time",
        /// Tries of a commit that others got in the way of.
        CommitTries = "commit_tries",
        /// The wait for the replica to show what this process has written.
        OwnWrites = "own_writes",
        /// Names drawn by chance that were all taken.
        Draws = "draws",
        /// API keys of an account.
        ApiKeys = "api_keys",
        /// Agents of an account.
        Agents = "agents",
        /// Records of the audit log, before they are old.
        AuditRecords = "audit_records",
        /// Refused calls in a minute that the audit log takes.
        AuditedRefusals = "audited_refusals",
        /// Device codes that one address asks for.
        DeviceCodes = "device_codes",
        /// User codes that are tried with one key.
        UserCodes = "user_codes",
        /// Consents of an account.
        Consents = "consents",
        /// Backups and followers of the audit log at a time.
        LongCalls = "long_calls",
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) claims: Counter,
    pub(crate) tokens: Counter,
    pub(crate) revocations: Counter,
    pub(crate) refused_keys: Counter,
    pub(crate) usage_reports: Counter,
    bounds: Family<BoundLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BoundLabel {
    bound: &'static str,
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
        registry.register(
            "usage_reports",
            "Reports of usage that were kept",
            metrics.usage_reports.clone(),
        );
        for bound in Hit::ALL.map(Hit::label) {
            metrics.bounds.get_or_create_owned(&BoundLabel { bound });
        }
        registry.register(
            "bounds_hit",
            "Times that a bound was hit",
            metrics.bounds.clone(),
        );
        metrics
    }

    pub(crate) fn hit(&self, bound: Hit) {
        let bound = bound.label();
        self.bounds.get_or_create(&BoundLabel { bound }).inc();
    }
}
