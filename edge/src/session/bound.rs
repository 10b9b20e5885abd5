//! An endpoint as one session has bound it.

use std::sync::Arc;

use async_trait::async_trait;
use model::{AccountId, ClaimId, EndpointName, Kind};
use tokio_util::sync::CancellationToken;
use tunnel::{StreamHead, TransportKind, datagram::Frames, message::Visit};

use super::{
    admit::Allowed,
    handle::SessionHandle,
    origin_stream::{Opened, OriginStream},
};
use crate::{
    http::{Endpoint, OriginError, OriginIo, Terms, pool::Pool},
    usage::Count,
};

#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) id: u32,
    pub(crate) name: EndpointName,
    pub(crate) kind: Kind,
    pub(crate) claim: ClaimId,
    /// The name that was claimed: the own one, or a wildcard above it.
    pub(crate) granted_as: EndpointName,
    pub(crate) account: AccountId,
    pub(crate) session: Arc<SessionHandle>,
    /// The endpoint was taken from the session, and its streams with it.
    pub(super) cut: CancellationToken,
    /// Shared by all sessions that serve the claim.
    pub(crate) usage: Arc<Count>,
}

/// What the table gives to a visitor.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) bound: Arc<Bound>,
    /// For `http` endpoints.
    pub(crate) http: Option<Arc<HttpEndpoint>>,
}

/// An `http` endpoint, with the upstream connections that are its own.
#[derive(Debug)]
pub(crate) struct HttpEndpoint {
    bound: Arc<Bound>,
    terms: Terms,
    pool: Pool,
}

impl Holding {
    pub(super) fn new(allowed: Allowed, session: Arc<SessionHandle>, usage: Arc<Count>) -> Self {
        let one_request = session.transport.kind() == TransportKind::Single;
        let terms = terms(&allowed, one_request);
        let bound = Arc::new(Bound {
            id: allowed.id,
            name: allowed.name,
            kind: allowed.kind,
            claim: allowed.claim,
            granted_as: allowed.granted_as,
            account: allowed.account,
            session,
            cut: CancellationToken::new(),
            usage,
        });
        let http = terms.map(|terms| {
            let pool = Pool::default();
            Arc::new(HttpEndpoint {
                bound: bound.clone(),
                terms,
                pool,
            })
        });
        Self { bound, http }
    }
}

impl Bound {
    /// A stream to the origin. `head.bind` is filled in here.
    pub(crate) async fn open(&self, mut head: StreamHead) -> Result<OriginStream, OriginError> {
        head.bind = self.id;
        Ok(self.stream(self.session.open(&head).await?))
    }

    /// The same for datagrams, which may have frames of their own.
    pub(crate) async fn open_flow(
        &self,
        mut head: StreamHead,
    ) -> Result<(OriginStream, Option<Frames>), OriginError> {
        head.bind = self.id;
        head.datagrams = true;
        let mut opened = self.session.open(&head).await?;
        let frames = opened.frames.take();
        Ok((self.stream(opened), frames))
    }

    fn stream(&self, opened: Opened) -> OriginStream {
        OriginStream::new(opened, self.cut.clone(), self.usage.flow())
    }
}

fn terms(allowed: &Allowed, one_request: bool) -> Option<Terms> {
    let pattern = allowed.name.host().filter(|_| allowed.kind == Kind::Http)?;
    Some(Terms {
        pattern: pattern.clone(),
        kind: allowed.kind,
        claim: Some(allowed.claim.clone()),
        account: Some(allowed.account.clone()),
        bind: allowed.id,
        protocol: allowed.protocol,
        host_header: allowed.host_header.clone(),
        one_request,
    })
}

#[async_trait]
impl Endpoint for HttpEndpoint {
    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn pool(&self) -> &Pool {
        &self.pool
    }

    async fn open(&self, head: StreamHead) -> Result<OriginIo, OriginError> {
        Ok(Box::new(self.bound.open(head).await?))
    }

    fn visited(&self, visit: Visit) {
        self.bound.usage.visited();
        self.bound.session.visit(visit);
    }
}
