//! One pair of files, read and found to belong together.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{HostPattern, UnixTime};
use rustls::{
    Error as TlsError, InconsistentKeys,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};
use zeroize::Zeroizing;

use super::CertificateFiles;

/// A long chain takes some 20 KiB; more than this is another file.
const MAX_FILE: u64 = 256 * 1024;

/// A certificate with its key, and what it says of itself.
#[derive(Clone, Debug)]
pub struct ReadCertificate {
    pub key: Arc<CertifiedKey>,
    pub names: Vec<HostPattern>,
    pub begins: UnixTime,
    pub expires: UnixTime,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct CertificateFileError {
    pub path: PathBuf,
    pub reason: String,
}

impl ReadCertificate {
    pub fn read(files: &CertificateFiles) -> Result<Self, CertificateFileError> {
        let of_certificate = |reason: &str| failed(&files.certificate, reason);
        let of_key = |reason: &str| failed(&files.key, reason);
        let pem = bounded(&files.certificate)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain = chain.map_err(|error| of_certificate(&format!("not PEM: {error}")))?;
        let leaf = chain
            .first()
            .cloned()
            .ok_or_else(|| of_certificate("there is no certificate in it"))?;
        let pem = Zeroizing::new(bounded(&files.key)?);
        let key = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|_| of_key("there is no private key in it that can be read"))?;
        let key = aws_lc_rs::sign::any_supported_type(&key)
            .map_err(|_| of_key("the key is of a kind that is not supported"))?;
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            Ok(()) | Err(TlsError::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => {
                let message = format!("it is not the key of {}", files.certificate.display());
                return Err(of_key(&message));
            }
        }
        let (_, leaf) = X509Certificate::from_der(&leaf)
            .map_err(|_| of_certificate("the first certificate cannot be read"))?;
        let time = |secs: i64| UnixTime::from_secs(u64::try_from(secs).unwrap_or(0));
        Ok(Self {
            names: names(&leaf),
            begins: time(leaf.validity().not_before.timestamp()),
            expires: time(leaf.validity().not_after.timestamp()),
            key: Arc::new(key),
        })
    }

    pub fn covers(&self, name: &HostPattern) -> bool {
        self.names.iter().any(|own| own.covers(name))
    }
}

/// Names that are none for us (addresses, mail, other wildcards) are passed over.
fn names(leaf: &X509Certificate<'_>) -> Vec<HostPattern> {
    let alternative = leaf.subject_alternative_name().ok().flatten();
    let all = alternative
        .iter()
        .flat_map(|extension| &extension.value.general_names);
    all.filter_map(|name| match name {
        GeneralName::DNSName(name) => name.parse().ok(),
        _ => None,
    })
    .collect()
}

fn failed(path: &Path, reason: &str) -> CertificateFileError {
    CertificateFileError {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

fn bounded(path: &Path) -> Result<Vec<u8>, CertificateFileError> {
    let failing = |error: std::io::Error| failed(path, &error.to_string());
    let file = std::fs::File::open(path).map_err(failing)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(failing)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(failed(path, "it is larger than 256 KiB"));
    }
    Ok(bytes)
}
