//! Where etcd is and who we are to it. Files are read anew for each connection, so that a renewed certificate comes into use.

use std::{fmt, fs, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use etcd_client::{Certificate, Identity, TlsOptions};
use zeroize::Zeroizing;

use crate::StoreError;

/// Bytes of a prefix. It is sent with every key of a transaction, and those have to fit into one request.
const MAX_PREFIX: usize = 128;
/// Members of one etcd; more than a handful only makes it slower.
const MAX_ENDPOINTS: usize = 32;

/// How to reach etcd.
#[derive(Clone, Debug)]
pub struct EtcdConfig {
    /// `http://host:port` or `https://host:port`, one for each member.
    pub endpoints: Vec<String>,
    /// Before every key, as in `/adit/`, so that one etcd may serve others too.
    pub prefix: String,
    pub user: Option<EtcdUser>,
    /// PEM of those who sign the members' certificates; the system's when there is none.
    pub ca: Option<PathBuf>,
    pub identity: Option<EtcdIdentity>,
}

/// For etcd's own authentication.
#[derive(Clone)]
pub struct EtcdUser {
    pub name: String,
    pub password: Zeroizing<String>,
}

/// What we show to members that ask for a certificate: PEM files.
#[derive(Clone, Debug)]
pub struct EtcdIdentity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl EtcdConfig {
    pub const DEFAULT_PREFIX: &'static str = "/adit/";

    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            prefix: Self::DEFAULT_PREFIX.into(),
            user: None,
            ca: None,
            identity: None,
        }
    }

    /// Says what is wrong with it, as far as that can be seen without etcd.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.endpoints.is_empty() || self.endpoints.len() > MAX_ENDPOINTS {
            return Err(wrong(format!(
                "etcd has from one to {MAX_ENDPOINTS} endpoints"
            )));
        }
        for endpoint in &self.endpoints {
            check_endpoint(endpoint)?;
        }
        if self.prefix.len() > MAX_PREFIX || !self.prefix.ends_with('/') {
            return Err(wrong(format!(
                "etcd's prefix ends with a slash and has at most {MAX_PREFIX} bytes, as in {:?}",
                Self::DEFAULT_PREFIX
            )));
        }
        let encrypted = self.endpoints.iter().filter(|e| is_https(e)).count();
        if encrypted > 0 && encrypted < self.endpoints.len() {
            return Err(wrong(
                "some of etcd's endpoints are https:// and some http://; use one of both".into(),
            ));
        }
        if encrypted == 0 && (self.ca.is_some() || self.identity.is_some()) {
            return Err(wrong(
                "certificates for etcd are given, but its endpoints are http://; write https://"
                    .into(),
            ));
        }
        self.tls().map(|_| ())
    }

    /// `None` in the clear.
    pub(super) fn tls(&self) -> Result<Option<TlsOptions>, StoreError> {
        if !self.endpoints.iter().any(|endpoint| is_https(endpoint)) {
            return Ok(None);
        }
        let mut tls = TlsOptions::new().ca_certificates(self.authorities()?);
        if let Some(identity) = &self.identity {
            let (certificate, key) = (read(&identity.certificate)?, read(&identity.key)?);
            tls = tls.identity(Identity::from_pem(&*certificate, &*key));
        }
        Ok(Some(tls))
    }

    fn authorities(&self) -> Result<Vec<Certificate>, StoreError> {
        if let Some(path) = &self.ca {
            return Ok(vec![Certificate::from_pem(&*read(path)?)]);
        }
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            return Err(wrong(
                "this system has no certificate authorities; give etcd's own".into(),
            ));
        }
        Ok(found
            .certs
            .iter()
            .map(|der| Certificate::from_pem(pem(der)))
            .collect())
    }
}

fn is_https(endpoint: &str) -> bool {
    endpoint.starts_with("https://")
}

fn check_endpoint(endpoint: &str) -> Result<(), StoreError> {
    let address = endpoint
        .strip_prefix("https://")
        .or_else(|| endpoint.strip_prefix("http://"))
        .map(|address| address.trim_end_matches('/'));
    let plain = |address: &str| {
        !address.is_empty()
            && !address.contains(['/', '@', '?', '#'])
            && address
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    if address.is_some_and(plain) {
        Ok(())
    } else {
        Err(wrong(format!(
            "{endpoint:?} is no endpoint of etcd; write https://host:2379"
        )))
    }
}

fn read(path: &PathBuf) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    fs::read(path)
        .map(Zeroizing::new)
        .map_err(|error| StoreError::Open {
            path: path.clone(),
            reason: error.to_string(),
        })
}

fn pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

fn wrong(reason: String) -> StoreError {
    StoreError::Config(reason)
}

impl fmt::Debug for EtcdUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdUser")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_said_before_etcd_is_asked() {
        let with = |endpoints: &[&str]| EtcdConfig::new(endpoints.iter().copied());
        assert_eq!(
            with(&["http://127.0.0.1:2379", "http://[::1]:2379/"]).check(),
            Ok(())
        );
        for endpoints in [
            &[][..],
            &["127.0.0.1:2379"],
            &["http://"],
            &["http://host"],
            &["http://:2379"],
            &["http://host:2379/path"],
            &["http://name:word@host:2379"],
            &["http://a:1", "https://b:1"],
        ] {
            assert!(
                matches!(with(endpoints).check(), Err(StoreError::Config(_))),
                "{endpoints:?}"
            );
        }
        let mut config = with(&["http://127.0.0.1:2379"]);
        config.prefix = "/adit".into();
        assert!(config.check().is_err());
        let mut config = with(&["http://127.0.0.1:2379"]);
        config.ca = Some("/nowhere".into());
        assert!(matches!(config.check(), Err(StoreError::Config(_))));
        config.endpoints = vec!["https://127.0.0.1:2379".into()];
        assert!(
            matches!(config.check(), Err(StoreError::Open { path, .. }) if path.ends_with("nowhere"))
        );
    }

    #[test]
    fn a_password_is_not_shown() {
        let user = EtcdUser {
            name: "adit".into(),
            password: Zeroizing::new("word".into()),
        };
        let mut config = EtcdConfig::new(["http://127.0.0.1:2379"]);
        config.user = Some(user);
        let shown = format!("{config:?}");
        assert!(shown.contains("adit") && !shown.contains("word"), "{shown}");
    }
}
