//! Whom the agent believes to be an `https` origin.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{self, CryptoProvider},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tunnel::message::OriginProtocol;

use crate::dial;

/// Certificates that an `https` origin may show.
#[derive(Clone, Debug)]
pub enum OriginTls {
    /// One that leads to these roots.
    Roots(Arc<RootCertStore>),
    /// Any: the way to the origin is trusted instead (a loopback, a private wire).
    Anything,
}

#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("{}: {error}", path.display())]
    File {
        path: PathBuf,
        error: rustls::pki_types::pem::Error,
    },
    #[error("{} holds no certificate that can be a root", .0.display())]
    Empty(PathBuf),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl OriginTls {
    /// The roots that this machine trusts. What cannot be read is left out and logged: the others may be enough.
    pub fn system() -> Self {
        let found = rustls_native_certs::load_native_certs();
        for error in found.errors {
            tracing::warn!(%error, "a root certificate of this machine cannot be read");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        Self::Roots(Arc::new(roots))
    }

    /// The certificates of a PEM file, which may be an authority's or the origin's own.
    pub fn from_file(path: &Path) -> Result<Self, TrustError> {
        let failed = |error| TrustError::File {
            path: path.into(),
            error,
        };
        let certificates = CertificateDer::pem_file_iter(path)
            .map_err(failed)?
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        let mut roots = RootCertStore::empty();
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(TrustError::Empty(path.into()));
        }
        Ok(Self::Roots(Arc::new(roots)))
    }

    pub(crate) fn client_config(&self, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, rustls::Error> {
        match self {
            Self::Roots(roots) => dial::client_config(Arc::clone(roots), alpn),
            Self::Anything => {
                let provider = Arc::new(crypto::aws_lc_rs::default_provider());
                let verifier = Arc::new(AnyCertificate(Arc::clone(&provider)));
                let mut config = ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()?
                    .dangerous()
                    .with_custom_certificate_verifier(verifier)
                    .with_no_client_auth();
                config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
                Ok(Arc::new(config))
            }
        }
    }
}

/// The name of `protocol` in a TLS handshake with an origin.
pub(crate) const fn alpn(protocol: OriginProtocol) -> &'static [u8] {
    match protocol {
        OriginProtocol::H1 => b"http/1.1",
        OriginProtocol::H2c => b"h2",
    }
}

/// Takes any certificate, but only from a peer that holds its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
