//! What stands under `secret/`: sealed on the way in, opened on the way out.

use model::Revision;
use serde::{Serialize, de::DeserializeOwned};
use store::{Key, Range, Sealed};
use zeroize::Zeroizing;

use super::Core;
use crate::error::ControlError;

impl Core {
    pub(super) fn seal<T: Serialize>(
        &self,
        place: &Key,
        value: &T,
    ) -> Result<Sealed, ControlError> {
        let plain = Zeroizing::new(serde_json::to_vec(value).map_err(ControlError::internal)?);
        Ok(self.envelope.seal(place, &plain)?)
    }

    /// The value, with the revision that put it there.
    pub(super) async fn open<T: DeserializeOwned>(
        &self,
        place: &Key,
    ) -> Result<Option<(T, Revision)>, ControlError> {
        let page = self.store.read(&Range::from(place), None, 1).await?;
        let Some(entry) = page.entries.first() else {
            return Ok(None);
        };
        let plain = self.envelope.open(&entry.key, &entry.value)?;
        let value = serde_json::from_slice(&plain).map_err(ControlError::internal)?;
        Ok(Some((value, entry.modified)))
    }
}
