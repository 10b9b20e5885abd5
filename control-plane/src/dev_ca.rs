//! The CA of a provider on one machine: exact certificates for claimed names, trusted by whoever trusts its root.
//!
//! Whoever calls [`DevCa::issue`] has made sure that the name is claimed or the provider's own: the CA signs what it is
//! told to, and a stranger's word (a server name in a handshake) must never reach it.

use std::{fmt, time::Duration};

use model::{HostPattern, UnixTime};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use store::{Commit, Envelope, EnvelopeError, Store, StoreError, Transaction, layout};
use zeroize::Zeroizing;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The root is made once and trusted by hand.
const ROOT_LIFE: Duration = Duration::from_secs(3650 * 24 * 3600);
/// Browsers refuse leaves that live longer than 398 days; nobody misses the rest, as a new one costs a millisecond.
pub(crate) const LEAF_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

pub struct DevCa {
    certificate_pem: String,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A leaf with its chain and key.
pub struct IssuedCertificate {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    pub expires: UnixTime,
}

#[derive(Debug, thiserror::Error)]
pub enum DevCaError {
    #[error("the development CA: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("what is kept of the development CA cannot be read")]
    Corrupt,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    certificate_pem: String,
    key_pem: Zeroizing<String>,
}

impl DevCa {
    /// The CA that is kept in the store, made if there is none.
    pub async fn load_or_create(
        store: &dyn Store,
        envelope: &Envelope,
        now: UnixTime,
    ) -> Result<Self, DevCaError> {
        let place = layout::dev_ca();
        for _ in 0..2 {
            let page = store.read(&store::Range::from(&place), None, 1).await?;
            if let Some(entry) = page.entries.first() {
                let plain = envelope.open(&place, &entry.value)?;
                let kept: Kept = serde_json::from_slice(&plain).map_err(|_| DevCaError::Corrupt)?;
                return Self::from_kept(kept);
            }
            let kept = make_root(now)?;
            let plain = Zeroizing::new(serde_json::to_vec(&kept).map_err(|_| DevCaError::Corrupt)?);
            let sealed = envelope.seal(&place, &plain)?;
            let transaction = Transaction::new()
                .if_absent(place.clone())
                .put(place.clone(), sealed);
            if let Commit::Done(_) = store.commit(transaction).await? {
                return Self::from_kept(kept);
            }
        }
        Err(DevCaError::Corrupt)
    }

    fn from_kept(kept: Kept) -> Result<Self, DevCaError> {
        use rustls_pki_types::pem::PemObject;
        let certificate = CertificateDer::from_pem_slice(kept.certificate_pem.as_bytes())
            .map_err(|_| DevCaError::Corrupt)?;
        let key = KeyPair::from_pem(&kept.key_pem)?;
        // The issuer's name and usages are all that leaves take from it, and they are always the same.
        let issuer = Issuer::new(root_params(UnixTime::from_secs(0)), key);
        Ok(Self {
            certificate_pem: kept.certificate_pem,
            certificate,
            issuer,
        })
    }

    /// The root's certificate, for trust stores.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A leaf for exactly this name or wildcard.
    pub fn issue(
        &self,
        name: &HostPattern,
        now: UnixTime,
    ) -> Result<IssuedCertificate, DevCaError> {
        let mut params = CertificateParams::new(vec![name.to_string()])?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        // A day back for clocks that are behind, within the whole life.
        let begins = now.minus(DAY);
        let expires = begins.plus(LEAF_LIFE);
        (params.not_before, params.not_after) = (date(begins), date(expires));
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(IssuedCertificate {
            chain,
            key,
            expires,
        })
    }
}

fn make_root(now: UnixTime) -> Result<Kept, DevCaError> {
    let key = KeyPair::generate()?;
    let certificate = root_params(now).self_signed(&key)?;
    Ok(Kept {
        certificate_pem: certificate.pem(),
        key_pem: Zeroizing::new(key.serialize_pem()),
    })
}

fn root_params(now: UnixTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "adit dev CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (date(now.minus(DAY)), date(now.plus(ROOT_LIFE)));
    params
}

/// rcgen speaks of dates of the `time` crate; adding seconds to the epoch needs no word of it.
fn date<T>(at: UnixTime) -> T
where
    T: From<std::time::SystemTime>,
{
    T::from(std::time::UNIX_EPOCH + Duration::from_secs(at.as_secs()))
}

impl fmt::Debug for DevCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DevCa(…)")
    }
}

impl fmt::Debug for IssuedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedCertificate")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
