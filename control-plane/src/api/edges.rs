//! The edges that are up.

use proto::v1;
use tonic::{Request, Response, Status};

use super::Api;

#[tonic::async_trait]
impl v1::edges_server::Edges for Api {
    async fn list(
        &self,
        request: Request<v1::ListEdgesRequest>,
    ) -> Result<Response<v1::ListEdgesResponse>, Status> {
        self.caller(&request).await?;
        let edges = self.core.edges().await?.into_iter().map(|edge| v1::Edge {
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
}
