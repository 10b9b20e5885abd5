//! The signing keys: made, published, used and retired as [`token::plan`] says.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use model::{KeyId, Revision, UnixTime};
use serde::{Deserialize, Serialize};
use store::{Commit, Entry, Event, Fold, Replica, Transaction, Value, layout};
use token::{KeyRecord, KeySet, SIGNING_PERIOD, SigningKey, Step};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    COMMIT_TRIES, Caller, Core,
    audit::{Action, Deed},
    random_id,
};
use crate::{
    error::{ControlError, ErrorCode},
    metrics::Hit,
};

/// The keys as last read from the store.
#[derive(Debug, Default)]
pub(crate) struct KeyRing {
    keys: Vec<(KeyRecord, SigningKey)>,
}

/// What stands under `secret/signing-key/`, sealed.
#[derive(Serialize, Deserialize)]
struct StoredKey {
    record: KeyRecord,
    pkcs8: Zeroizing<String>,
}

impl KeyRing {
    pub(crate) fn records(&self) -> Vec<KeyRecord> {
        self.keys.iter().map(|(record, _)| record.clone()).collect()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(KeyRecord, SigningKey)> {
        self.keys.iter()
    }

    pub(crate) fn public(&self) -> KeySet {
        self.keys
            .iter()
            .map(|(_, key)| key.public().clone())
            .collect()
    }

    pub(crate) fn signer(&self, now: UnixTime) -> Result<&SigningKey, ControlError> {
        let records = self.records();
        let signer = token::signer(&records, now).map(|record| &record.kid);
        let found = self
            .keys
            .iter()
            .find(|(record, _)| Some(&record.kid) == signer);
        found
            .map(|(_, key)| key)
            .ok_or_else(|| ControlError::internal("there is no signing key"))
    }
}

impl Core {
    /// Does what the plan says is due, and reads the keys anew.
    pub(crate) async fn rotate_keys(&self, now: UnixTime) -> Result<(), ControlError> {
        let ttl = self.config.token_ttl;
        let deed = Deed {
            by: None,
            action: Action::KeyRotate,
            account: None,
            target: &"the signing keys, as it is time",
        };
        self.change_keys(&deed, now, |records| token::plan(records, ttl, now))
            .await
    }

    /// Publishes a new key now, to sign after the overlap.
    pub(crate) async fn add_key(&self, caller: &Caller, now: UnixTime) -> Result<(), ControlError> {
        let signs_from = now.plus(token::OVERLAP);
        let signs_until = signs_from.plus(SIGNING_PERIOD);
        let publish = Step::Publish {
            signs_from,
            signs_until,
        };
        let deed = Deed {
            by: Some(caller),
            action: Action::KeyRotate,
            account: None,
            target: &"a new signing key",
        };
        self.change_keys(&deed, now, |_| vec![publish.clone()])
            .await
    }

    /// Takes a key that leaked out of use at once. What it signed opens nothing from now on, and if no other key signs now,
    /// a new one does, which edges that watch know before they meet its first token.
    pub(crate) async fn retire_key(
        &self,
        caller: &Caller,
        kid: &KeyId,
        now: UnixTime,
    ) -> Result<(), ControlError> {
        self.load_keys().await?;
        if self.keys.load().public().get(kid).is_none() {
            return Err(ControlError::new(
                ErrorCode::NotFound,
                format!("there is no signing key {kid}"),
            ));
        }
        let deed = Deed {
            by: Some(caller),
            action: Action::KeyRetire,
            account: None,
            target: kid,
        };
        self.change_keys(&deed, now, |records| retire(records, kid, now))
            .await
    }

    /// Plans with the keys as they are and makes the change only if they still are: of several control planes one publishes
    /// the next key, and the others plan anew with it.
    async fn change_keys(
        &self,
        deed: &Deed<'_>,
        now: UnixTime,
        plan: impl Fn(&[KeyRecord]) -> Vec<Step>,
    ) -> Result<(), ControlError> {
        for _ in 0..COMMIT_TRIES {
            // Before the keys are read, so that whatever changes them later is noticed.
            let guard = self.rotation().await?;
            self.load_keys().await?;
            let steps = plan(&self.keys.load().records());
            if steps.is_empty() {
                return Ok(());
            }
            let transaction = deed.written(self.change(guard, &steps, now)?, now)?;
            if let Commit::Done(_) = self.store.commit(transaction).await? {
                for step in &steps {
                    tracing::info!(?step, "changed the signing keys");
                }
                return self.load_keys().await;
            }
        }
        self.metrics.hit(Hit::CommitTries);
        Err(ControlError::new(
            ErrorCode::Unavailable,
            "others change the signing keys all the time",
        ))
    }

    /// When the keys were last changed.
    async fn rotation(&self) -> Result<Option<Revision>, ControlError> {
        let range = store::Range::from(&layout::key_rotation());
        let page = self.store.read(&range, None, 1).await?;
        Ok(page.entries.first().map(|entry| entry.modified))
    }

    fn change(
        &self,
        guard: Option<Revision>,
        steps: &[Step],
        now: UnixTime,
    ) -> Result<Transaction, ControlError> {
        let place = layout::key_rotation();
        let mut transaction = match guard {
            Some(revision) => Transaction::new().if_revision(place.clone(), revision),
            None => Transaction::new().if_absent(place.clone()),
        };
        transaction = transaction.put(place.clone(), self.envelope.seal(&place, b"{}")?);
        for step in steps {
            transaction = match step {
                Step::Publish {
                    signs_from,
                    signs_until,
                } => self.publish(transaction, *signs_from, *signs_until, now)?,
                Step::Retire(kid) => transaction
                    .delete(layout::signing_key(kid))
                    .delete(layout::jwk(kid)),
            };
        }
        Ok(transaction)
    }

    fn publish(
        &self,
        transaction: Transaction,
        signs_from: UnixTime,
        signs_until: UnixTime,
        now: UnixTime,
    ) -> Result<Transaction, ControlError> {
        let kid = KeyId::from_random(random_id());
        let key = SigningKey::generate(kid.clone()).map_err(ControlError::internal)?;
        let record = KeyRecord {
            kid: kid.clone(),
            published: now,
            signs_from,
            signs_until,
        };
        let stored = StoredKey {
            record,
            pkcs8: Zeroizing::new(STANDARD.encode(key.to_pkcs8())),
        };
        let plain = Zeroizing::new(serde_json::to_vec(&stored).map_err(ControlError::internal)?);
        let place = layout::signing_key(&kid);
        let sealed = self.envelope.seal(&place, &plain)?;
        Ok(transaction
            .if_absent(place.clone())
            .put(place, sealed)
            .put(layout::jwk(&kid), Value::json(key.public())?))
    }

    /// Reads the keys anew whenever another control plane has changed them, for as long as it runs.
    pub(crate) async fn follow_keys(self: Arc<Self>) {
        let prefix = layout::signing_keys();
        let replica = Replica::start(
            self.store.clone(),
            prefix,
            Changes::default(),
            CancellationToken::new(),
        );
        let (mut changes, mut seen) = (replica.changes(), 0);
        while changes.changed().await.is_ok() {
            let now = replica.read(|changes| changes.0);
            if now == seen {
                continue;
            }
            match self.load_keys().await {
                Ok(()) => seen = now,
                // The next change, or the next look at what is due, reads them.
                Err(error) => tracing::warn!(%error, "changed signing keys cannot be read yet"),
            }
        }
    }

    async fn load_keys(&self) -> Result<(), ControlError> {
        let _alone = self.loading.lock().await;
        let (entries, _) = store::entries(&*self.store, &layout::signing_keys()).await?;
        let mut keys = Vec::with_capacity(entries.len());
        for entry in entries {
            let plain = self.envelope.open(&entry.key, &entry.value)?;
            let stored: StoredKey =
                serde_json::from_slice(&plain).map_err(ControlError::internal)?;
            let pkcs8 = Zeroizing::new(
                STANDARD
                    .decode(&*stored.pkcs8)
                    .map_err(ControlError::internal)?,
            );
            let key = SigningKey::from_pkcs8(stored.record.kid.clone(), &pkcs8)
                .map_err(ControlError::internal)?;
            keys.push((stored.record, key));
        }
        self.keys.store(Arc::new(KeyRing { keys }));
        Ok(())
    }
}

/// The steps that take `kid` out of use; none when that has been done.
fn retire(records: &[KeyRecord], kid: &KeyId, now: UnixTime) -> Vec<Step> {
    if !records.iter().any(|record| record.kid == *kid) {
        return Vec::new();
    }
    let signs = |record: &KeyRecord| record.kid != *kid && record.signs_from <= now;
    let publish = Step::Publish {
        signs_from: now,
        signs_until: now.plus(SIGNING_PERIOD),
    };
    let in_its_place = (!records.iter().any(signs)).then_some(publish);
    std::iter::once(Step::Retire(kid.clone()))
        .chain(in_its_place)
        .collect()
}

/// How often the keys were changed.
#[derive(Debug, Default)]
struct Changes(u64);

impl Fold for Changes {
    fn reset(&mut self, _: Vec<Entry>) {
        self.0 += 1;
    }

    fn apply(&mut self, _: &Event) {
        self.0 += 1;
    }
}
