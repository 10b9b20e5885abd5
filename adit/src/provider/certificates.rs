//! Where a provider's certificates come from, as its configuration says.

use std::sync::Arc;

use config::Certificate;
use edge::{CertificateFiles, FileCertificates};
use prometheus_client::registry::Registry;

use crate::failure::{Exit, Failure};

pub(crate) fn files(certificates: &[Certificate]) -> Vec<CertificateFiles> {
    let files = |pair: &Certificate| CertificateFiles {
        certificate: pair.certificate.clone(),
        key: pair.key.clone(),
    };
    certificates.iter().map(files).collect()
}

pub(crate) fn load(
    certificates: &[Certificate],
    registry: &mut Registry,
) -> Result<Arc<FileCertificates>, Failure> {
    FileCertificates::load(files(certificates), registry).map_err(|error| {
        Failure::new(
            Exit::Usage,
            format!("a certificate cannot be used: {error}"),
        )
        .advise("adit config check FILE looks at all of them")
    })
}
