//! Decides what a name is, and finds or waits for the session behind it.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use model::{ClaimId, EndpointName, HostPattern, Hostname, Kind};
use store::Replica;
use tokio::{sync::Semaphore, time::timeout};

use super::{facts::Follow, reserved::ReservedEndpoint};
use crate::{
    Config,
    bounds::{PLACEMENT_WAIT, WAITING_VISITORS},
    http::{Endpoint, RouteError, Routes},
    metrics::{Hit, Metrics},
    session::{Holding, Sessions},
};

#[derive(Debug)]
pub(crate) struct Router {
    facts: Arc<Replica<Follow>>,
    sessions: Arc<Sessions>,
    own: Vec<Hostname>,
    reserved: HashMap<Hostname, Arc<ReservedEndpoint>>,
    waiting: Semaphore,
    metrics: Metrics,
}

/// What a name is to this edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The edge's own: agents come here.
    Own,
    /// The provider's own.
    Reserved,
    Claimed(Claimed),
    Unknown,
}

/// The claim that decides what becomes of a name or port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub(crate) name: EndpointName,
    pub(crate) claim: ClaimId,
    pub(crate) kind: Kind,
}

impl Router {
    pub(crate) fn new(
        config: &Config,
        facts: Arc<Replica<Follow>>,
        sessions: Arc<Sessions>,
        metrics: Metrics,
    ) -> Self {
        let reserved = config.reserved.iter().flat_map(|reserved| {
            let metrics = metrics.clone();
            let endpoint = move |name: &Hostname| {
                let (to, metrics) = (reserved.to.clone(), metrics.clone());
                Arc::new(ReservedEndpoint::new(name.clone(), to, metrics))
            };
            reserved
                .names
                .iter()
                .map(move |name| (name.clone(), endpoint(name)))
        });
        Self {
            facts,
            sessions,
            own: config.names.clone(),
            reserved: reserved.collect(),
            waiting: Semaphore::new(WAITING_VISITORS),
            metrics,
        }
    }

    /// Own and reserved names come first: nobody can claim them, and if somebody could, he would not get them.
    pub(crate) fn place(&self, name: &Hostname) -> Place {
        if self.own.contains(name) {
            return Place::Own;
        }
        if self.reserved.contains_key(name) {
            return Place::Reserved;
        }
        let claimed = self
            .facts
            .read(|follow| follow.facts().governing(name).map(Claimed::from));
        claimed.map_or(Place::Unknown, Place::Claimed)
    }

    /// The session that serves `name`, which `claimed` decides about. Waits a moment for one to come back.
    pub(crate) async fn host(
        &self,
        name: &Hostname,
        claimed: &Claimed,
    ) -> Result<Holding, RouteError> {
        let names: Vec<_> = HostPattern::candidates(name)
            .map(EndpointName::Host)
            .collect();
        self.holding(&names, claimed).await
    }

    /// The session that serves `port`.
    pub(crate) async fn port(&self, port: u16) -> Result<Holding, RouteError> {
        let name = EndpointName::Port(port);
        let claimed = self
            .facts
            .read(|follow| follow.facts().endpoint(&name).map(Claimed::from));
        let claimed = claimed.ok_or(RouteError::Unknown)?;
        self.holding(&[name], &claimed).await
    }

    async fn holding(
        &self,
        names: &[EndpointName],
        claimed: &Claimed,
    ) -> Result<Holding, RouteError> {
        // Before the first look, so that nothing that is bound after it is missed.
        let mut changes = self.sessions.changes();
        if let Some(holding) = self.look(names, claimed) {
            return Ok(holding);
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            self.metrics.hit(Hit::WaitingVisitors);
            return Err(RouteError::Offline);
        };
        let found = timeout(PLACEMENT_WAIT, async {
            while changes.changed().await.is_ok() {
                if let Some(holding) = self.look(names, claimed) {
                    return Ok(holding);
                }
            }
            Err(RouteError::Offline)
        });
        found.await.unwrap_or_else(|_| {
            self.metrics.hit(Hit::PlacementWait);
            Err(RouteError::Offline)
        })
    }

    fn look(&self, names: &[EndpointName], claimed: &Claimed) -> Option<Holding> {
        names
            .iter()
            .find_map(|name| self.sessions.find(name, claimed))
    }
}

impl From<&model::Endpoint> for Claimed {
    fn from(endpoint: &model::Endpoint) -> Self {
        Self {
            name: endpoint.name.clone(),
            claim: endpoint.claim.clone(),
            kind: endpoint.kind,
        }
    }
}

#[async_trait]
impl Routes for Router {
    async fn route(&self, name: &Hostname) -> Result<Arc<dyn Endpoint>, RouteError> {
        match self.place(name) {
            Place::Own => Err(RouteError::NotHttp),
            Place::Unknown => Err(RouteError::Unknown),
            Place::Reserved => {
                let endpoint = self.reserved.get(name).ok_or(RouteError::Unknown)?;
                Ok(endpoint.clone())
            }
            Place::Claimed(claimed) if claimed.kind == Kind::Http => {
                let holding = self.host(name, &claimed).await?;
                let endpoint = holding.http.ok_or(RouteError::NotHttp)?;
                Ok(endpoint)
            }
            Place::Claimed(_) => Err(RouteError::NotHttp),
        }
    }
}
