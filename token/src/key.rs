//! Ed25519 keys (RFC 8037): the private half signs, the public half stands in the JWKS.

use std::{collections::BTreeMap, fmt};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use model::KeyId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Octets of an Ed25519 public key.
const PUBLIC_LEN: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the system has no randomness to make a key of")]
    Generate,
    #[error("the private key is not an Ed25519 key in PKCS#8")]
    Private,
    #[error("not a public Ed25519 JWK: {0}")]
    Public(&'static str),
}

/// A private key with its id.
pub struct SigningKey {
    kid: KeyId,
    pkcs8: Zeroizing<Vec<u8>>,
    public: PublicKey,
}

/// The public half, as a JWK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Jwk", into = "Jwk")]
pub struct PublicKey {
    kid: KeyId,
    x: [u8; PUBLIC_LEN],
}

#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    alg: String,
    #[serde(rename = "use")]
    usage: String,
    kid: KeyId,
    x: String,
}

/// The public keys that tokens may be signed with.
#[derive(Clone, Debug, Default)]
pub struct KeySet(BTreeMap<KeyId, PublicKey>);

impl SigningKey {
    pub fn generate(kid: KeyId) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Generate)?;
        let document = pair.to_pkcs8v1().map_err(|_| KeyError::Generate)?;
        Self::from_pkcs8(kid, document.as_ref())
    }

    pub fn from_pkcs8(kid: KeyId, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair =
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| KeyError::Private)?;
        let x = pair
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| KeyError::Private)?;
        Ok(Self {
            public: PublicKey {
                kid: kid.clone(),
                x,
            },
            kid,
            pkcs8: Zeroizing::new(pkcs8.to_vec()),
        })
    }

    /// For the envelope, and nowhere else.
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        self.pkcs8.clone()
    }

    pub const fn id(&self) -> &KeyId {
        &self.kid
    }

    pub const fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl PublicKey {
    pub const fn id(&self) -> &KeyId {
        &self.kid
    }

    pub(crate) const fn bytes(&self) -> &[u8; PUBLIC_LEN] {
        &self.x
    }
}

impl TryFrom<Jwk> for PublicKey {
    type Error = KeyError;

    fn try_from(jwk: Jwk) -> Result<Self, KeyError> {
        if jwk.kty != "OKP" || jwk.crv != "Ed25519" || jwk.alg != "EdDSA" || jwk.usage != "sig" {
            return Err(KeyError::Public(
                "kty, crv, alg and use must be OKP, Ed25519, EdDSA and sig",
            ));
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(&jwk.x)
            .map_err(|_| KeyError::Public("x is not base64url"))?;
        let x = bytes
            .try_into()
            .map_err(|_| KeyError::Public("x is not 32 octets"))?;
        Ok(Self { kid: jwk.kid, x })
    }
}

impl From<PublicKey> for Jwk {
    fn from(key: PublicKey) -> Self {
        Self {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            alg: "EdDSA".into(),
            usage: "sig".into(),
            kid: key.kid,
            x: URL_SAFE_NO_PAD.encode(key.x),
        }
    }
}

impl KeySet {
    pub fn insert(&mut self, key: PublicKey) {
        self.0.insert(key.kid.clone(), key);
    }

    pub fn remove(&mut self, kid: &KeyId) {
        self.0.remove(kid);
    }

    pub fn get(&self, kid: &KeyId) -> Option<&PublicKey> {
        self.0.get(kid)
    }

    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.0.values()
    }
}

impl FromIterator<PublicKey> for KeySet {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        Self(keys.into_iter().map(|key| (key.kid.clone(), key)).collect())
    }
}
