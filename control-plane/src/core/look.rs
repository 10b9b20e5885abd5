//! How the control plane looks at the facts: in its replica, which shows what this process has written, or in the store.

use std::time::Duration;

use model::{AccountId, ClaimId, Endpoint, EndpointName, Revision};
use store::layout;

use super::{Core, facts::Facts};
use crate::{error::ControlError, metrics::Hit};

/// How long a call waits until the replica shows what this process has written. A watch is milliseconds behind; one that is
/// further behind costs a list of the store.
const OWN_WRITES: Duration = Duration::from_millis(500);

impl Core {
    /// Looks at the facts. They are at least as new as what this process has written. What others have written may be some
    /// milliseconds away; decisions bear that: what they change is compared when it is committed, and edges check tokens
    /// against facts of their own.
    pub(crate) async fn look<T>(&self, look: impl FnOnce(&Facts) -> T) -> Result<T, ControlError> {
        if self.facts.is_synced() {
            let written = *self.written.borrow();
            if self.facts.revision() >= written || self.facts.reached(written, OWN_WRITES).await {
                return Ok(self.facts.read(look));
            }
            self.metrics.hit(Hit::OwnWrites);
        }
        self.look_in_store(look).await
    }

    /// Looks at the facts as they are in the store now: for what another process may have written a moment ago.
    async fn look_in_store<T>(&self, look: impl FnOnce(&Facts) -> T) -> Result<T, ControlError> {
        let (entries, _) = store::entries(&*self.store, &layout::public()).await?;
        Ok(look(&Facts::of(entries)))
    }

    /// The endpoints of an account, and the last revision that changed one of them.
    pub(crate) async fn endpoints_of(
        &self,
        account: &AccountId,
    ) -> Result<(Vec<Endpoint>, Revision), ControlError> {
        self.look(|facts| own(facts, account)).await
    }

    /// The same, for someone who was given these claims, perhaps by another process just now.
    pub(crate) async fn endpoints_with(
        &self,
        account: &AccountId,
        claims: &[ClaimId],
    ) -> Result<(Vec<Endpoint>, Revision), ControlError> {
        let found = self.endpoints_of(account).await?;
        let is_known = |claim: &ClaimId| found.0.iter().any(|own| own.claim == *claim);
        if claims.iter().all(is_known) {
            return Ok(found);
        }
        self.look_in_store(|facts| own(facts, account)).await
    }

    /// A name among these that is not the account's; another process may have claimed one of them just now.
    pub(crate) async fn foreign_among(
        &self,
        account: &AccountId,
        names: &[EndpointName],
    ) -> Result<Option<EndpointName>, ControlError> {
        let foreign = |facts: &Facts| {
            let is_own = |name: &&EndpointName| {
                let mut own = facts.endpoints_of(account);
                own.any(|known| known.endpoint.name == **name)
            };
            names.iter().find(|name| !is_own(name)).cloned()
        };
        match self.look(foreign).await? {
            None => Ok(None),
            Some(_) => self.look_in_store(foreign).await,
        }
    }

    /// Whose claim this is.
    pub(crate) async fn account_with(
        &self,
        claim: &ClaimId,
    ) -> Result<Option<AccountId>, ControlError> {
        let account = |facts: &Facts| Some(facts.claim(claim)?.endpoint.account.clone());
        match self.look(account).await? {
            Some(account) => Ok(Some(account)),
            None => self.look_in_store(account).await,
        }
    }
}

fn own(facts: &Facts, account: &AccountId) -> (Vec<Endpoint>, Revision) {
    let (mut endpoints, mut last) = (Vec::new(), Revision::ZERO);
    for known in facts.endpoints_of(account) {
        endpoints.push(known.endpoint.clone());
        last = last.max(known.modified);
    }
    (endpoints, last)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use model::{Hostname, Role, UnixTime};
    use prometheus_client::{encoding::text::encode, registry::Registry};
    use store::{
        Commit, Embedded, Envelope, KeyEncryptionKey, LeaseId, Page, Prefix, Range, Store,
        StoreError, Transaction, Watch,
    };

    use super::*;
    use crate::{Caller, ClaimWish, Config, metrics::Metrics};

    /// A store whose watches never tell anything.
    #[derive(Debug)]
    struct Mute(Embedded);

    #[async_trait]
    impl Store for Mute {
        async fn read(
            &self,
            range: &Range,
            at: Option<Revision>,
            limit: usize,
        ) -> Result<Page, StoreError> {
            self.0.read(range, at, limit).await
        }

        async fn commit(&self, transaction: Transaction) -> Result<Commit, StoreError> {
            self.0.commit(transaction).await
        }

        async fn watch(&self, _: &Prefix, _: Revision) -> Result<Watch, StoreError> {
            std::future::pending().await
        }

        async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
            self.0.grant_lease(ttl).await
        }

        async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
            self.0.keep_alive(lease).await
        }

        async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError> {
            self.0.revoke_lease(lease).await
        }
    }

    #[tokio::test]
    async fn what_was_written_is_seen_even_when_the_watch_is_silent() {
        let kek = KeyEncryptionKey::from_env("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        let envelope = Arc::new(Envelope::new(kek.unwrap(), Vec::new()));
        let store = Arc::new(Mute(Embedded::in_memory().unwrap()));
        let zone: Hostname = "t.example".parse().unwrap();
        let config = Config {
            listen: Vec::new(),
            issuer: None,
            zone: zone.clone(),
            reserved: Vec::new(),
            forward: Vec::new(),
            tcp_ports: 44000..=44009,
            own_ports: Vec::new(),
            clear_http_port: None,
            token_ttl: Config::TOKEN_TTL,
            session_ttl: Config::SESSION_TTL,
        };
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let core = Core::new(config, "http://t.example".into(), store, envelope, metrics);
        assert!(core.facts.synced().await, "the first list was read");

        let now = UnixTime::from_secs(1_000);
        let account = core.create_account("someone", now).await.unwrap();
        let key = core
            .create_api_key(&account, "key", Role::Member, now)
            .await;
        let caller: Caller = core.authenticate(&key.unwrap().secret).await.unwrap();
        let exclusive = model::Sharing::Exclusive;
        let wish = ClaimWish::parse(model::Kind::Http, "shop", 0, exclusive, &zone).unwrap();
        let claimed = core.claim(&caller, &wish, now).await.unwrap();
        let (own, revision) = core.endpoints_of(&account).await.unwrap();
        assert_eq!(own, [claimed]);
        assert!(revision > Revision::ZERO);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(!text.contains("bound=\"own_writes\"} 0"), "{text}");
    }
}
