//! A certificate and what trusts it, for tests of the bindings.

use std::sync::Arc;

pub(crate) const NAME: &str = "edge.example";

pub(crate) struct Tls {
    pub(crate) server: rustls::ServerConfig,
    pub(crate) client: rustls::ClientConfig,
    pub(crate) roots: rustls::RootCertStore,
}

pub(crate) fn tls() -> Tls {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let own = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.into()], key)
        .unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    Tls {
        server,
        client,
        roots,
    }
}
