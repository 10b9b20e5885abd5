//! What the control plane decides. Every method takes `now`; what it needs of chance it draws from the system.

mod accounts;
mod agents;
mod allowance;
mod audit;
mod claims;
mod consent;
mod delete;
mod device;
mod facts;
mod issue;
mod join;
mod keys;
mod look;
mod names;
mod noted;
mod revoke;
mod room;
mod sealed;
mod usage;
mod wish;

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use model::{AccountId, AgentName, ApiKeyId, Revision, Role, UnixTime};
use rand::RngCore;
use store::{Envelope, Replica, SharedStore, layout, schema};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[cfg(test)]
pub(crate) use self::audit::{AUDIT_KEPT, MAX_AUDIT_RECORDS};
pub(crate) use self::keys::KeyRing;
#[cfg(test)]
pub(crate) use self::revoke::MAX_REVOKED_IDS;
pub(crate) use self::usage::UsageWish;
pub(crate) use self::{
    accounts::{Account, ListedKey},
    agents::ListedAgent,
    audit::{Action, AuditRecord, AuditScope, Deed, seen_by},
    consent::{Rights, Tokens},
    device::{DEVICE_LIVES, INTERVAL, WaitingDevice},
};
pub use self::{
    accounts::{CreatedKey, PreparedAdministrator},
    agents::AgentWish,
    issue::{IssueWish, Issued},
    join::Joined,
    wish::ClaimWish,
};
use crate::{
    config::{self, Config},
    error::{ControlError, ErrorCode},
    metrics::Metrics,
};

/// Tries of a compare-and-commit that others get in the way of; each lost try means that another one won.
const COMMIT_TRIES: usize = 16;

pub struct Core {
    pub(crate) store: SharedStore,
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) config: Config,
    pub(crate) issuer: String,
    pub(crate) metrics: Metrics,
    pub(crate) keys: ArcSwap<KeyRing>,
    /// Held from reading the keys to showing them, so that a slow reader never puts older keys over newer ones.
    loading: tokio::sync::Mutex<()>,
    refusals: audit::Refusals,
    pub(crate) allowances: allowance::Allowances,
    /// Whether the version of the store is one that this program knows.
    is_known: AtomicBool,
    /// What stands under `public/`, watched.
    facts: Arc<Replica<facts::Facts>>,
    /// The last change that this process made there.
    written: watch::Receiver<Revision>,
}

/// Whoever calls, proved by an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub account: AccountId,
    pub key: ApiKeyId,
    pub role: Role,
    /// Which agent it is, if it is one.
    pub agent: Option<AgentName>,
    /// Where the call comes from, for the audit log.
    pub from: Option<IpAddr>,
}

impl Core {
    pub(crate) fn new(
        config: Config,
        issuer: String,
        store: SharedStore,
        envelope: Arc<Envelope>,
        metrics: Metrics,
    ) -> Arc<Self> {
        let keys = ArcSwap::from_pointee(KeyRing::default());
        let facts = Replica::start(
            store.clone(),
            layout::public(),
            facts::Facts::default(),
            CancellationToken::new(),
        );
        let (store, written) = noted::Noted::over(store);
        Arc::new(Self {
            store: Arc::new(store),
            envelope,
            config,
            issuer,
            metrics,
            keys,
            loading: tokio::sync::Mutex::default(),
            refusals: audit::Refusals::default(),
            allowances: allowance::Allowances::default(),
            is_known: AtomicBool::new(false),
            facts,
            written,
        })
    }

    /// Makes the store ready for this program, and the first signing key if there is none.
    pub(crate) async fn begin(&self, now: UnixTime) -> Result<(), ControlError> {
        schema::prepare(&*self.store).await?;
        self.is_known.store(true, Relaxed);
        self.rotate_keys(now).await
    }

    /// Whether the store was there once, in a version that this program knows, and a signing key is.
    pub(crate) fn has_begun(&self) -> bool {
        self.is_known.load(Relaxed) && !self.keys.load().is_empty()
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub fn audience(&self) -> String {
        config::audience(&self.issuer)
    }

    /// The audience of tokens for this control plane itself.
    pub(crate) fn api_audience(&self) -> String {
        config::api_audience(&self.issuer)
    }
}

impl Caller {
    /// Refuses what belongs to another account, unless the caller may act for all.
    pub(crate) fn must_own(&self, account: &AccountId) -> Result<(), ControlError> {
        if self.is_admin() || self.account == *account {
            Ok(())
        } else {
            Err(ControlError::new(
                ErrorCode::NotAllowed,
                "this belongs to another account",
            ))
        }
    }

    /// May act for every account of the provider.
    pub(crate) fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    pub(crate) fn must_be_admin(&self) -> Result<(), ControlError> {
        self.must_be(
            self.is_admin(),
            "only an administrator of the provider may do this",
        )
    }

    /// Members and administrators: keys of people and of programs that stand for them.
    pub(crate) fn must_be_user(&self) -> Result<(), ControlError> {
        self.must_be(
            matches!(self.role, Role::Member | Role::Admin),
            format_args!(
                "this key is one of an {0}, and may do only what an {0} needs",
                self.role
            ),
        )
    }

    pub fn must_be_edge(&self) -> Result<(), ControlError> {
        self.must_be(
            self.role == Role::Edge,
            "only an edge may do this: adit admin api-key create --role edge",
        )
    }

    fn must_be(&self, is_so: bool, refusal: impl fmt::Display) -> Result<(), ControlError> {
        if is_so {
            Ok(())
        } else {
            Err(ControlError::new(ErrorCode::NotAllowed, refusal))
        }
    }
}

/// Fresh random bits for an id.
pub(crate) fn random_id() -> [u8; 15] {
    let mut bits = [0; 15];
    rand::rng().fill_bytes(&mut bits);
    bits
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}
