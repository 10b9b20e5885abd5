//! The edges: those that are up, and what each must know.

use proto::v1;
use tonic::{Request, Response, Status};

use super::{Api, count};
use crate::{core::Joined, error::ControlError};

#[tonic::async_trait]
impl v1::edges_server::Edges for Api {
    async fn list(
        &self,
        request: Request<v1::ListEdgesRequest>,
    ) -> Result<Response<v1::ListEdgesResponse>, Status> {
        self.caller(&request).await?;
        let sessions = self.core.sessions_by_edge().await?;
        let edges = self.core.edges().await?.into_iter().map(|edge| v1::Edge {
            sessions: count(sessions.get(&edge.id).copied().unwrap_or(0)),
            id: edge.id.to_string(),
            region: edge.region.to_string(),
            url: edge.url,
            draining: edge.draining,
            started: edge.started.as_secs(),
        });
        Ok(Response::new(v1::ListEdgesResponse {
            edges: edges.collect(),
        }))
    }

    async fn join(
        &self,
        request: Request<v1::JoinRequest>,
    ) -> Result<Response<v1::JoinResponse>, Status> {
        let caller = self.anyone(&request).await?;
        let asked = request.into_inner();
        let names: Result<Vec<_>, _> = asked.names.iter().map(|name| name.parse()).collect();
        let joined = self
            .core
            .join(&caller, &names.map_err(ControlError::invalid)?)?;
        tracing::info!(edge = %asked.id, region = %asked.region, url = %asked.url, "an edge joins");
        Ok(Response::new(joined.into()))
    }
}

impl From<Joined> for v1::JoinResponse {
    fn from(joined: Joined) -> Self {
        let ports = Some(&joined.tcp_ports).filter(|ports| !ports.is_empty());
        Self {
            issuer: joined.issuer,
            audience: joined.audience,
            zone: joined.zone.to_string(),
            reserved: joined.reserved.iter().map(ToString::to_string).collect(),
            forward: joined.forward,
            first_tcp_port: ports.map_or(0, |ports| u32::from(*ports.start())),
            last_tcp_port: ports.map_or(0, |ports| u32::from(*ports.end())),
        }
    }
}
