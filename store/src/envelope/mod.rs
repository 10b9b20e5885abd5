//! Envelopes: everything under `secret/` is sealed from the first day, so that a copy of the store gives nothing away.
//!
//! Each value has a data key of its own (AES-256-GCM), and that is wrapped by the key-encryption key (AES-256-GCM too). Both are
//! bound to the store key as associated data, so a sealed value moved to another key does not open. Changing the key-encryption
//! key re-wraps the data keys and leaves the data as it is.

mod format;
mod kek;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
};
use bytes::Bytes;
use zeroize::Zeroizing;

use crate::Key;

pub use format::SealedParts;
pub use kek::{KekError, KekId, KeyEncryptionKey};
pub(crate) use kek::{private_file, sync_folder_of};

use format::{KEY_LEN, VERSION, Wrap};

/// Seals with one key-encryption key, and opens what it or an older one sealed.
#[derive(Debug)]
pub struct Envelope {
    current: KeyEncryptionKey,
    older: Vec<KeyEncryptionKey>,
}

/// A sealed value and the key it was sealed for.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    key: Key,
    bytes: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("a sealed value of {0} bytes is too short; it was cut off or never sealed")]
    TooShort(usize),
    #[error("sealed in version {0}, this program knows {VERSION}; use a newer program")]
    Version(u8),
    #[error("sealed under key-encryption key {0}, which was not given; add it as an older key")]
    UnknownKey(KekId),
    #[error("the sealed value was changed or belongs to another key; restore it from a backup")]
    Refused,
    #[error("the cryptographic library refused to seal")]
    Seal,
}

impl Envelope {
    pub fn new(current: KeyEncryptionKey, older: Vec<KeyEncryptionKey>) -> Self {
        Self { current, older }
    }

    pub fn seal(&self, key: &Key, plain: &[u8]) -> Result<Sealed, EnvelopeError> {
        let mut data_key = Zeroizing::new([0; KEY_LEN]);
        random(&mut *data_key)?;
        let nonce = random_nonce()?;
        let mut data = plain.to_vec();
        aead(&data_key)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                bound(DATA, key),
                &mut data,
            )
            .map_err(|_| EnvelopeError::Seal)?;
        Ok(Sealed {
            key: key.clone(),
            bytes: format::encode(&self.wrap(key, &data_key)?, nonce, &data),
        })
    }

    pub fn open(&self, key: &Key, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        let parts = SealedParts::decode(sealed)?;
        let data_key = self.unwrap(key, &parts.wrap)?;
        let mut plain = Zeroizing::new(parts.data.to_vec());
        let length = aead(&data_key)?
            .open_in_place(
                Nonce::assume_unique_for_key(parts.nonce),
                bound(DATA, key),
                &mut plain,
            )
            .map_err(|_| EnvelopeError::Refused)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }

    /// The same value under the current key-encryption key; `None` when it is so already.
    pub fn rewrap(&self, key: &Key, sealed: &[u8]) -> Result<Option<Sealed>, EnvelopeError> {
        let parts = SealedParts::decode(sealed)?;
        if parts.wrap.kek == self.current.id() {
            return Ok(None);
        }
        let data_key = self.unwrap(key, &parts.wrap)?;
        let wrap = self.wrap(key, &data_key)?;
        Ok(Some(Sealed {
            key: key.clone(),
            bytes: format::encode(&wrap, parts.nonce, parts.data),
        }))
    }

    fn wrap(&self, key: &Key, data_key: &[u8; KEY_LEN]) -> Result<Wrap, EnvelopeError> {
        let nonce = random_nonce()?;
        let mut wrapped = Zeroizing::new(*data_key);
        let tag = aead(self.current.bytes())?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                bound(WRAP, key),
                &mut *wrapped,
            )
            .map_err(|_| EnvelopeError::Seal)?;
        let tag = tag.as_ref().try_into().map_err(|_| EnvelopeError::Seal)?;
        Ok(Wrap {
            kek: self.current.id(),
            nonce,
            wrapped: *wrapped,
            tag,
        })
    }

    fn unwrap(&self, key: &Key, wrap: &Wrap) -> Result<Zeroizing<[u8; KEY_LEN]>, EnvelopeError> {
        let kek = std::iter::once(&self.current)
            .chain(&self.older)
            .find(|kek| kek.id() == wrap.kek)
            .ok_or(EnvelopeError::UnknownKey(wrap.kek))?;
        let mut data_key = Zeroizing::new(wrap.wrapped);
        aead(kek.bytes())?
            .open_in_place_separate_tag(
                Nonce::assume_unique_for_key(wrap.nonce),
                bound(WRAP, key),
                &wrap.tag,
                &mut *data_key,
            )
            .map_err(|_| EnvelopeError::Refused)?;
        Ok(data_key)
    }
}

impl Sealed {
    pub fn key(&self) -> &Key {
        &self.key
    }

    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({}, {} bytes)", self.key, self.bytes.len())
    }
}

/// Tell the two uses apart, so that a wrapped key is never taken for data.
const DATA: &str = "adit data";
const WRAP: &str = "adit wrap";

fn bound(purpose: &str, key: &Key) -> Aad<Vec<u8>> {
    Aad::from(format!("{purpose} v{VERSION}\0{key}").into_bytes())
}

fn aead(key: &[u8; KEY_LEN]) -> Result<LessSafeKey, EnvelopeError> {
    let unbound = UnboundKey::new(&AES_256_GCM, key).map_err(|_| EnvelopeError::Seal)?;
    Ok(LessSafeKey::new(unbound))
}

fn random(bytes: &mut [u8]) -> Result<(), EnvelopeError> {
    aws_lc_rs::rand::fill(bytes).map_err(|Unspecified| EnvelopeError::Seal)
}

/// Random nonces are safe here: a data key seals once, and a key-encryption key far fewer than 2^32 times.
fn random_nonce() -> Result<[u8; NONCE_LEN], EnvelopeError> {
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce)?;
    Ok(nonce)
}

#[cfg(test)]
mod tests;
