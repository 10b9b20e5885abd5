//! The connection's channel binding (RFC 9266): rustls derives such only for its buffered connections, so this takes the
//! secret from its key log and does the last two steps of RFC 8446, section 7.5.

use std::sync::{Mutex, PoisonError};

use aws_lc_rs::{
    digest,
    hkdf::{self, HKDF_SHA256, HKDF_SHA384, Prk},
};
use rustls::KeyLog;
use zeroize::Zeroizing;

use super::TlsError;
use crate::transport::{EXPORTER_LABEL, Exporter};

/// The name of the secret in a key log (RFC 9850).
const NAME: &str = "EXPORTER_SECRET";

/// Keeps one connection's secret until its binding is derived.
#[derive(Default)]
pub(super) struct ExporterSecret(Mutex<Zeroizing<Vec<u8>>>);

impl KeyLog for ExporterSecret {
    fn log(&self, _: &str, _: &[u8], secret: &[u8]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Zeroizing::new(secret.to_vec());
    }

    fn will_log(&self, label: &str) -> bool {
        label == NAME
    }
}

impl std::fmt::Debug for ExporterSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExporterSecret(…)")
    }
}

impl ExporterSecret {
    pub(super) fn channel_binding(&self) -> Result<Exporter, TlsError> {
        let secret = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        // The suite's hash is as long as its secrets.
        let (hkdf, hash) = match secret.len() {
            32 => (HKDF_SHA256, &digest::SHA256),
            48 => (HKDF_SHA384, &digest::SHA384),
            _ => return Err(TlsError::Key),
        };
        let empty = digest::digest(hash, b"");
        let mut derived = Zeroizing::new(vec![0; secret.len()]);
        expand(hkdf, &secret, EXPORTER_LABEL, empty.as_ref(), &mut derived)?;
        let mut exporter = Exporter::default();
        expand(hkdf, &derived, b"exporter", empty.as_ref(), &mut exporter)?;
        Ok(exporter)
    }
}

/// HKDF-Expand-Label (RFC 8446, section 7.1).
fn expand(
    hkdf: hkdf::Algorithm,
    secret: &[u8],
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> Result<(), TlsError> {
    let byte = |length: usize| u8::try_from(length).map_err(|_| TlsError::Key);
    let info: [&[u8]; 5] = [
        &[0, byte(out.len())?, byte(6 + label.len())?],
        b"tls13 ",
        label,
        &[byte(context.len())?],
        context,
    ];
    let prk = Prk::new_less_safe(hkdf, secret);
    let okm = prk.expand(&info, Length(out.len()));
    okm.and_then(|okm| okm.fill(out)).map_err(|_| TlsError::Key)
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
