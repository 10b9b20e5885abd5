//! One visitor's connection, in the clear or over TLS.

use std::{fs, net::SocketAddr, sync::Arc};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::LoadArgs;
use crate::problem::{Doing, Outcome};

pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// How to get there.
#[derive(Clone)]
pub(crate) struct Way {
    target: SocketAddr,
    pub(crate) host: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Way {
    pub(crate) fn new(args: &LoadArgs) -> Outcome<Self> {
        let tls = match &args.ca {
            None => None,
            Some(path) => {
                let pem = fs::read(path).doing("the authority's file")?;
                let name = ServerName::try_from(args.host.clone()).doing("the name")?;
                Some((connector(&pem)?, name))
            }
        };
        Ok(Self {
            target: args.target,
            host: args.host.clone(),
            tls,
        })
    }

    pub(crate) fn straight(target: SocketAddr) -> Self {
        Self {
            target,
            host: "localhost".into(),
            tls: None,
        }
    }

    pub(crate) async fn connect(&self) -> Outcome<Box<dyn Duplex>> {
        let stream = TcpStream::connect(self.target).await.doing("connect")?;
        stream.set_nodelay(true).doing("nodelay")?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                Ok(Box::new(stream.doing("TLS handshake")?))
            }
        }
    }
}

fn connector(pem: &[u8]) -> Outcome<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots
            .add(certificate.doing("the authority's file")?)
            .doing("the authority")?;
    }
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Every visitor is a new one: no handshake is shortened by an earlier one.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}
