//! The signing keys: made, published, used and retired as [`token::plan`] says.

use base64::{Engine, engine::general_purpose::STANDARD};
use model::{KeyId, UnixTime};
use serde::{Deserialize, Serialize};
use store::{Commit, Transaction, Value, layout};
use token::{KeyRecord, KeySet, SIGNING_PERIOD, SigningKey, Step};
use zeroize::Zeroizing;

use super::{Core, random_id};
use crate::error::ControlError;

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
        self.load_keys().await?;
        let steps = token::plan(&self.keys.load().records(), self.config.token_ttl, now);
        for step in &steps {
            match step {
                Step::Publish {
                    signs_from,
                    signs_until,
                } => self.publish_key(*signs_from, *signs_until, now).await?,
                Step::Retire(kid) => self.retire_key(kid).await?,
            }
        }
        if steps.is_empty() {
            Ok(())
        } else {
            self.load_keys().await
        }
    }

    /// Publishes a new key now, to sign after the overlap.
    pub(crate) async fn add_key(&self, now: UnixTime) -> Result<(), ControlError> {
        let signs_from = now.plus(token::OVERLAP);
        self.publish_key(signs_from, signs_from.plus(SIGNING_PERIOD), now)
            .await?;
        self.load_keys().await
    }

    async fn publish_key(
        &self,
        signs_from: UnixTime,
        signs_until: UnixTime,
        now: UnixTime,
    ) -> Result<(), ControlError> {
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
        let transaction = Transaction::new()
            .if_absent(place.clone())
            .put(place, sealed)
            .put(layout::jwk(&kid), Value::json(key.public())?);
        match self.store.commit(transaction).await? {
            Commit::Done(_) => {
                tracing::info!(%kid, from = %signs_from, "published a signing key");
                Ok(())
            }
            Commit::Conflict => Err(ControlError::internal("a random id came twice")),
        }
    }

    async fn retire_key(&self, kid: &KeyId) -> Result<(), ControlError> {
        let transaction = Transaction::new()
            .delete(layout::signing_key(kid))
            .delete(layout::jwk(kid));
        let _ = self.store.commit(transaction).await?;
        tracing::info!(%kid, "retired a signing key");
        Ok(())
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
        self.keys.store(std::sync::Arc::new(KeyRing { keys }));
        Ok(())
    }
}
