//! Carries every stream of a tunnel to one origin.

use std::{io, sync::Arc};

use model::ProxyProtocol;
use rustls::ClientConfig;
use tokio::io::AsyncWriteExt;
use tokio_util::task::TaskTracker;
use tunnel::{Code, message::OriginProtocol};

use crate::{
    Address, Incoming, Origin, OriginTls, Target, Tunnel, TunnelError,
    bounds::{self, Bound},
    copy::{self, CopyError, Side},
    flow,
    hint::Scanner,
    origin::{alpn, connect, files::Files, welcome},
    shared::Shared,
    trace::Step,
};

/// How the origin is spoken to.
#[derive(Clone, Debug, Default)]
pub struct OriginOptions {
    /// Whom to believe to be an `https` origin; none trusts what this machine trusts.
    pub tls: Option<OriginTls>,
    /// What was bound, and is offered to an `https` origin by ALPN; none offers nothing.
    pub protocol: Option<OriginProtocol>,
    /// The bind is of kind `udp`: the origin is a host and a port that take datagrams.
    pub datagrams: bool,
    /// Tells the origin who visits; not for HTTP, where several visitors may share a connection.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Look for answers of development servers that refuse the visitor's host name.
    pub hints: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
    #[error("the directory cannot be served: {0}")]
    Directory(#[source] io::Error),
    #[error("datagrams go to a host and a port, to nothing else")]
    Datagrams,
    #[error("TLS to the origin cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// What is ready to take streams.
#[derive(Debug)]
enum Prepared {
    Tcp(Address),
    Tls(Address, Arc<ClientConfig>),
    Udp(Address),
    Unix(std::path::PathBuf),
    Files(Arc<Files>),
    Welcome,
}

#[derive(Debug)]
pub(crate) struct Forwarder {
    to: Prepared,
    proxy_protocol: Option<ProxyProtocol>,
    hints: bool,
}

/// Forwards until the tunnel ends; that it was closed is no error.
pub async fn forward(
    tunnel: &Tunnel,
    target: &Target,
    options: &OriginOptions,
) -> Result<(), ForwardError> {
    let forwarder = Arc::new(Forwarder::new(target, options)?);
    Ok(carry(tunnel, |_| Some(Arc::clone(&forwarder))).await?)
}

/// Gives each stream to the forwarder of its bind; one that has none is refused.
pub(crate) async fn carry(
    tunnel: &Tunnel,
    forwarder_of: impl Fn(u32) -> Option<Arc<Forwarder>>,
) -> Result<(), TunnelError> {
    // Bounded by the streams that the session admits.
    let tasks = TaskTracker::new();
    let end = loop {
        let incoming = match tunnel.accept().await {
            Ok(incoming) => incoming,
            Err(TunnelError::Closed) => break Ok(()),
            Err(error) => break Err(error),
        };
        let (forwarder, shared) = (forwarder_of(incoming.bind()), tunnel.shared());
        let incoming = Box::new(incoming);
        tasks.spawn(async move {
            let cancel = shared.cancel.clone();
            // Boxed, as what is waited for under another future takes its place twice.
            let one = Box::pin(async {
                match forwarder {
                    Some(forwarder) => forwarder.one(incoming, &shared).await,
                    None => Box::pin(incoming.refuse(Code::OriginRefused)).await,
                }
            });
            let _ = cancel.run_until_cancelled(one).await;
        });
    };
    tasks.close();
    tasks.wait().await;
    end
}

fn prepare(origin: &Origin, options: &OriginOptions) -> Result<Prepared, ForwardError> {
    if options.datagrams {
        return match origin {
            Origin::Tcp(address) => Ok(Prepared::Udp(address.clone())),
            _ => Err(ForwardError::Datagrams),
        };
    }
    Ok(match origin {
        Origin::Tcp(address) => Prepared::Tcp(address.clone()),
        Origin::Unix(path) => Prepared::Unix(path.clone()),
        Origin::Directory(path) => Prepared::Files(Arc::new(
            Files::open(path).map_err(ForwardError::Directory)?,
        )),
        Origin::Welcome => Prepared::Welcome,
        Origin::Tls(address) => {
            let trust = options.tls.clone().unwrap_or_else(OriginTls::system);
            let offered: Vec<&[u8]> = options.protocol.into_iter().map(alpn).collect();
            Prepared::Tls(address.clone(), trust.client_config(&offered)?)
        }
    })
}

impl Forwarder {
    pub(crate) fn new(target: &Target, options: &OriginOptions) -> Result<Self, ForwardError> {
        Ok(Self {
            to: prepare(&target.origin, options)?,
            proxy_protocol: options.proxy_protocol,
            hints: options.hints,
        })
    }

    /// What is needed only for a while, or only by rare origins, is boxed: the task of a stream lives as long as its visitor
    /// stays, and there are thousands.
    async fn one(&self, incoming: Box<Incoming>, shared: &Shared) {
        let step = Step::begin(incoming.head());
        if incoming.head().datagrams != matches!(self.to, Prepared::Udp(_)) {
            return Box::pin(incoming.refuse(Code::OriginRefused)).await;
        }
        match &self.to {
            Prepared::Tcp(address) => {
                let connected = Box::pin(connect::tcp(address)).await;
                self.copy(incoming, (connected, step), shared).await;
            }
            Prepared::Udp(address) => {
                let connected = Box::pin(flow::Server::connect(address)).await;
                Box::pin(self.datagrams(incoming, connected, step)).await;
            }
            Prepared::Unix(path) => {
                let connected = Box::pin(connect::unix(path)).await;
                Box::pin(self.copy(incoming, (connected, step), shared)).await;
            }
            Prepared::Tls(address, config) => {
                let connected = Box::pin(connect::tls(address, Arc::clone(config))).await;
                Box::pin(self.copy(incoming, (connected, step), shared)).await;
            }
            Prepared::Files(files) => {
                if let Ok(stream) = Box::pin(incoming.accept()).await {
                    served(Box::pin(Arc::clone(files).serve(stream)).await);
                }
            }
            Prepared::Welcome => {
                if let Ok(stream) = Box::pin(incoming.accept()).await {
                    served(Box::pin(welcome::serve(stream)).await);
                }
            }
        }
    }

    async fn copy(
        &self,
        incoming: Box<Incoming>,
        (connected, step): (io::Result<impl Side>, Step),
        shared: &Shared,
    ) {
        step.finish(connected.as_ref().err());
        let bind = incoming.bind();
        let mut origin = match connected {
            Ok(origin) => origin,
            Err(error) => {
                if error.kind() == io::ErrorKind::TimedOut {
                    bounds::hit(Bound::OriginConnect);
                }
                tracing::debug!(trace = %step, %error, "the origin does not answer");
                return Box::pin(incoming.refuse(Code::OriginRefused)).await;
            }
        };
        if let Some(version) = self.proxy_protocol {
            let head = incoming.head().for_origin(version);
            if let Err(error) = Box::pin(write_all(&mut origin, head)).await {
                tracing::debug!(trace = %step, %error, "the origin does not take the PROXY head");
                return Box::pin(incoming.refuse(Code::OriginRefused)).await;
            }
        }
        let Ok(mut stream) = Box::pin(incoming.accept()).await else {
            return origin.abort();
        };
        let mut scanner = self.hints.then(Scanner::new);
        let look = |piece: &[u8]| {
            if let Some(found) = scanner.as_mut().and_then(|scanner| scanner.scan(piece)) {
                shared.hint(bind, found);
            }
        };
        match copy::copy(&mut stream, &mut origin, look).await {
            Ok(()) => tracing::debug!(trace = %step, "a stream is over"),
            Err(CopyError::Visitor(error)) => {
                tracing::trace!(trace = %step, %error, "a visitor aborted");
            }
            Err(error) => tracing::debug!(trace = %step, %error, "a stream was aborted"),
        }
    }

    async fn datagrams(
        &self,
        incoming: Box<Incoming>,
        connected: io::Result<flow::Server>,
        step: Step,
    ) {
        step.finish(connected.as_ref().err());
        let mut server = match connected {
            Ok(server) => server,
            Err(error) => {
                tracing::debug!(trace = %step, %error, "the origin cannot be sent to");
                return incoming.refuse(Code::OriginRefused).await;
            }
        };
        if let Some(version) = self.proxy_protocol {
            server.put_before_each(incoming.head().for_origin(version));
        }
        let Ok(mut stream) = incoming.accept().await else {
            return;
        };
        let terms = flow::Terms {
            frames: stream.frames(),
            counters: stream.counters(),
        };
        if let Err(error) = flow::carry(&mut stream, server, terms).await {
            tracing::debug!(trace = %step, %error, "a flow was aborted");
            stream.reset();
        }
    }
}

async fn write_all(origin: &mut impl Side, bytes: Vec<u8>) -> io::Result<()> {
    origin.write_all(&bytes).await?;
    origin.flush().await
}

fn served(result: Result<(), hyper::Error>) {
    if let Err(error) = result {
        tracing::trace!(%error, "a visitor's connection to the files broke");
    }
}
