//! A certificate authority for tests.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use model::HostPattern;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::CertifiedKey,
};

use crate::{CertificateError, CertificateSource};

#[derive(Debug)]
pub(crate) struct Ca {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    /// Names that a certificate was asked for.
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().der().clone();
        Self {
            root,
            issuer: Issuer::new(params, key),
            asked: Mutex::default(),
        }
    }

    pub(crate) fn issue(&self, name: &HostPattern) -> Arc<CertifiedKey> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_string()]).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
        Arc::new(CertifiedKey::new(vec![leaf], key))
    }

    /// A client that believes this authority.
    pub(crate) fn client(&self, alpn: &[&[u8]]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|alpn| alpn.to_vec()).collect();
        config
    }
}

#[async_trait]
impl CertificateSource for Ca {
    async fn certificate(&self, name: &HostPattern) -> Result<Arc<CertifiedKey>, CertificateError> {
        self.asked.lock().unwrap().push(name.to_string());
        Ok(self.issue(name))
    }
}
