//! What may be put: plain bytes, or bytes sealed for one key.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;

use crate::{Sealed, StoreError, key::Key};

#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    Plain(Bytes),
    Sealed(Sealed),
}

impl Value {
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, StoreError> {
        match serde_json::to_vec(value) {
            Ok(bytes) => Ok(Self::Plain(bytes.into())),
            Err(error) => Err(StoreError::NotJson(error.to_string())),
        }
    }

    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Sealed(sealed) => sealed.bytes(),
        }
    }

    /// The one key it was sealed for, when it is sealed.
    pub(crate) fn sealed_for(&self) -> Option<&Key> {
        match self {
            Self::Plain(_) => None,
            Self::Sealed(sealed) => Some(sealed.key()),
        }
    }
}

impl From<Sealed> for Value {
    fn from(sealed: Sealed) -> Self {
        Self::Sealed(sealed)
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::Plain(bytes)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Plain(bytes.into())
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Plain(Bytes::from_static(text.as_bytes()))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Plain(_) => "plain",
            Self::Sealed(_) => "sealed",
        };
        write!(f, "{kind}, {} bytes", self.bytes().len())
    }
}
