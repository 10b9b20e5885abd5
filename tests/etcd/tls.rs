//! TLS with a CA of one's own, in both directions.

use std::{fs, path::PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use store::{EtcdConfig, EtcdIdentity, StoreError};
use tests::{EtcdCluster, EtcdOptions, EtcdTls, install_crypto};

use crate::{connect, put};

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Certificate and key, for a node and for a client.
    fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let paths = (
            self.path(&format!("{name}.pem")),
            self.path(&format!("{name}.key")),
        );
        fs::write(&paths.0, certificate.pem()).unwrap();
        fs::write(&paths.1, key.serialize_pem()).unwrap();
        paths
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_show_a_certificate() {
    install_crypto();
    let (authority, other) = (Authority::new(), Authority::new());
    let ((certificate, key), (client_certificate, client_key)) =
        (authority.issue("node"), authority.issue("client"));
    let options = EtcdOptions {
        tls: Some(EtcdTls {
            ca: authority.path("ca.pem"),
            certificate,
            key,
            client_certificate: client_certificate.clone(),
            client_key: client_key.clone(),
        }),
        ..EtcdOptions::default()
    };
    let etcd = EtcdCluster::start_with(1, &options);
    let mut config = EtcdConfig::new(etcd.endpoints());
    config.ca = Some(authority.path("ca.pem"));
    config.identity = Some(EtcdIdentity {
        certificate: client_certificate,
        key: client_key,
    });
    let store = connect(config.clone());
    put(&store, "a", "1").await;

    let refused = |config: EtcdConfig| async move {
        let reached = connect(config).reach().await;
        assert!(
            matches!(reached, Err(StoreError::Unavailable(_))),
            "{reached:?}"
        );
    };
    let mut nobody = config.clone();
    nobody.identity = None;
    let (certificate, key) = other.issue("client");
    let mut stranger = config.clone();
    stranger.identity = Some(EtcdIdentity { certificate, key });
    let mut deceived = config.clone();
    deceived.ca = Some(other.path("ca.pem"));
    tokio::join!(refused(nobody), refused(stranger), refused(deceived));
}
