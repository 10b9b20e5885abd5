//! Certificates of the development CA, as the edge asks for them.

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use control_plane::DevCa;
use edge::{CertificateError, CertificateSource};
use model::HostPattern;
use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};

#[derive(Debug)]
pub(crate) struct FromDevCa(Arc<DevCa>);

impl FromDevCa {
    pub(crate) const fn new(ca: Arc<DevCa>) -> Self {
        Self(ca)
    }
}

#[async_trait]
impl CertificateSource for FromDevCa {
    async fn certificate(&self, name: &HostPattern) -> Result<Arc<CertifiedKey>, CertificateError> {
        let failed = |reason: String| CertificateError {
            name: name.clone(),
            reason,
        };
        let issued = self
            .0
            .issue(name, SystemTime::now().into())
            .map_err(|error| failed(error.to_string()))?;
        let key = aws_lc_rs::sign::any_ecdsa_type(&issued.key)
            .map_err(|error| failed(error.to_string()))?;
        Ok(Arc::new(CertifiedKey::new(issued.chain, key)))
    }
}
