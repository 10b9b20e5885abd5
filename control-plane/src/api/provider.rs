//! What anyone may ask.

use proto::v1;
use tonic::{Request, Response, Status};

use super::Api;

#[tonic::async_trait]
impl v1::provider_server::Provider for Api {
    async fn discover(
        &self,
        _: Request<v1::DiscoverRequest>,
    ) -> Result<Response<v1::DiscoverResponse>, Status> {
        Ok(Response::new(v1::DiscoverResponse {
            issuer: self.core.issuer().to_owned(),
            zone: self.core.config.zone.to_string(),
            locations: self.core.locations().await?,
            own_ports: self
                .core
                .config
                .own_ports
                .iter()
                .map(|port| u32::from(*port))
                .collect(),
            clear_http_port: self.core.config.clear_http_port.map_or(0, u32::from),
        }))
    }
}
