//! Proof of possession: that whoever shows a key-bound token (RFC 7800) holds the key, on this very connection.
//!
//! A proof is a JWS with the public key in its header, like that of DPoP (RFC 9449). What it is bound to is not a request
//! but the TLS connection (RFC 9266) or a nonce of the edge: a proof that was overheard is worth nothing on another one.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use model::KeyId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{KeyError, SigningKey};

/// The longest proof: those of Ed25519 and P-256 have less than 700 characters.
pub const MAX_PROOF_LEN: usize = 2048;
/// `typ` of the header.
const TYPE: &str = "tunnel-proof+jwt";
/// Characters of a thumbprint: SHA-256 in base64url.
const THUMBPRINT_LEN: usize = 43;

/// What a proof holds for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Binding<'a> {
    /// The connection: its `tls-exporter` (RFC 9266, section 2).
    Exporter(&'a [u8; 32]),
    /// A nonce that the edge of this name made, where the agent's library does not tell the exporter.
    Nonce { nonce: &'a str, edge: &'a str },
}

/// A key of an agent, made anew when it starts: it need not outlive the tokens that are bound to it.
pub struct ProofKey {
    pkcs8: Zeroizing<Vec<u8>>,
    jwk: Jwk,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("not a proof of possession: {0}")]
    Malformed(&'static str),
    #[error("the proof is made with another key than the one that the token is bound to")]
    Key,
    #[error("the proof's signature is wrong")]
    Signature,
    #[error("the proof is for another token")]
    Token,
    #[error("the proof is for another connection")]
    Connection,
    #[error("the proof cannot be signed: {0}")]
    Crypto(String),
}

#[derive(Serialize, Deserialize)]
struct Header {
    typ: String,
    alg: String,
    jwk: Jwk,
}

/// The members that the thumbprint is made of, in its order (RFC 7638, section 3.2; RFC 8037, section 2).
#[derive(Clone, Serialize, Deserialize)]
struct Jwk {
    crv: String,
    kty: String,
    x: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    /// Hash of the token (RFC 9449, section 4.2).
    ath: String,
    #[serde(
        default,
        rename = "tls-exporter",
        skip_serializing_if = "Option::is_none"
    )]
    exporter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    /// The edge's name, with a nonce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
}

impl ProofKey {
    pub fn generate() -> Result<Self, KeyError> {
        let kid: KeyId = "proof".parse().map_err(|_| KeyError::Generate)?;
        let key = SigningKey::generate(kid)?;
        let jwk = Jwk {
            crv: "Ed25519".into(),
            kty: "OKP".into(),
            x: URL_SAFE_NO_PAD.encode(key.public().bytes()),
            y: None,
        };
        Ok(Self {
            pkcs8: key.to_pkcs8(),
            jwk,
        })
    }

    /// What a token is bound to: `cnf.jkt`.
    pub fn thumbprint(&self) -> String {
        self.jwk.thumbprint()
    }

    pub fn prove(&self, token: &str, binding: Binding<'_>) -> Result<String, ProofError> {
        let failed = |error: &dyn fmt::Display| ProofError::Crypto(error.to_string());
        let header = Header {
            typ: TYPE.into(),
            alg: "EdDSA".into(),
            jwk: self.jwk.clone(),
        };
        let header = serde_json::to_vec(&header).map_err(|e| failed(&e))?;
        let payload = serde_json::to_vec(&Payload::new(token, binding)).map_err(|e| failed(&e))?;
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let key = EncodingKey::from_ed_der(&self.pkcs8);
        let signature =
            crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).map_err(|e| failed(&e))?;
        Ok(format!("{message}.{signature}"))
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofKey")
            .field("thumbprint", &self.thumbprint())
            .finish_non_exhaustive()
    }
}

/// Whether `proof` shows that the sender holds the key with this thumbprint, and meant this token and this connection.
pub fn check_proof(
    proof: &str,
    thumbprint: &str,
    token: &str,
    binding: Binding<'_>,
) -> Result<(), ProofError> {
    if proof.len() > MAX_PROOF_LEN {
        return Err(ProofError::Malformed("it is too long"));
    }
    let malformed = ProofError::Malformed;
    let (message, signature) = proof
        .rsplit_once('.')
        .ok_or_else(|| malformed("it has no parts"))?;
    let (header, payload) = message
        .split_once('.')
        .ok_or_else(|| malformed("it has no three parts"))?;
    let header: Header = read(header).ok_or_else(|| malformed("its header cannot be read"))?;
    if header.typ != TYPE {
        return Err(malformed("its typ is not tunnel-proof+jwt"));
    }
    if header.jwk.thumbprint() != thumbprint {
        return Err(ProofError::Key);
    }
    let (key, algorithm) = header.key()?;
    let authentic = crypto::verify(signature, message.as_bytes(), &key, algorithm);
    if !authentic.unwrap_or(false) {
        return Err(ProofError::Signature);
    }
    let payload: Payload = read(payload).ok_or_else(|| malformed("its payload cannot be read"))?;
    let meant = Payload::new(token, binding);
    if payload.ath != meant.ath {
        return Err(ProofError::Token);
    }
    if (payload.exporter, payload.nonce, payload.aud) != (meant.exporter, meant.nonce, meant.aud) {
        return Err(ProofError::Connection);
    }
    Ok(())
}

/// Whether a token may be bound to it.
pub fn is_thumbprint(text: &str) -> bool {
    text.len() == THUMBPRINT_LEN && URL_SAFE_NO_PAD.decode(text).is_ok()
}

fn read<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

impl Header {
    fn key(&self) -> Result<(DecodingKey, Algorithm), ProofError> {
        let bad = |_| ProofError::Malformed("its key cannot be read");
        let Jwk { crv, kty, x, y } = &self.jwk;
        match (&*self.alg, &**kty, &**crv, y) {
            ("EdDSA" | "Ed25519", "OKP", "Ed25519", None) => {
                let key = DecodingKey::from_ed_components(x).map_err(bad)?;
                Ok((key, Algorithm::EdDSA))
            }
            // What every browser can sign with.
            ("ES256", "EC", "P-256", Some(y)) => {
                let key = DecodingKey::from_ec_components(x, y).map_err(bad)?;
                Ok((key, Algorithm::ES256))
            }
            _ => Err(ProofError::Malformed(
                "its key is neither Ed25519 (EdDSA) nor P-256 (ES256)",
            )),
        }
    }
}

impl Jwk {
    fn thumbprint(&self) -> String {
        hash(&serde_json::to_vec(self).unwrap_or_default())
    }
}

impl Payload {
    fn new(token: &str, binding: Binding<'_>) -> Self {
        let (exporter, nonce, aud) = match binding {
            Binding::Exporter(exporter) => (Some(URL_SAFE_NO_PAD.encode(exporter)), None, None),
            Binding::Nonce { nonce, edge } => (None, Some(nonce.into()), Some(edge.into())),
        };
        Self {
            ath: hash(token.as_bytes()),
            exporter,
            nonce,
            aud,
        }
    }
}

fn hash(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes))
}

#[cfg(test)]
mod tests;
