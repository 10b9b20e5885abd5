//! Claim, list, release.

use model::EndpointName;
use proto::v1;
use tonic::{Request, Response, Status};

use super::{Api, now};
use crate::{ClaimWish, error::ControlError};

#[tonic::async_trait]
impl v1::endpoints_server::Endpoints for Api {
    async fn claim(
        &self,
        request: Request<v1::ClaimRequest>,
    ) -> Result<Response<v1::Endpoint>, Status> {
        let caller = self.caller(&request).await?;
        let asked = request.into_inner();
        let kind = proto::kind_from_proto(asked.kind).map_err(ControlError::invalid)?;
        let sharing = proto::sharing_from_proto(asked.sharing).map_err(ControlError::invalid)?;
        let wish = ClaimWish::parse(
            kind,
            &asked.host,
            asked.port,
            sharing,
            &self.core.config.zone,
        )?
        .remembered_for(&asked.machine, &asked.target)?;
        let endpoint = self.core.claim(&caller, &wish, now()).await?;
        Ok(Response::new(proto::endpoint_to_proto(&endpoint, &[])))
    }

    async fn list(
        &self,
        request: Request<v1::ListEndpointsRequest>,
    ) -> Result<Response<v1::ListEndpointsResponse>, Status> {
        let caller = self.caller(&request).await?;
        let (own, _) = self.core.endpoints_of(&caller.account).await?;
        let placements = self.core.placements(&caller.account).await?;
        let bound = |claim| placements.get(claim).map_or(&[][..], Vec::as_slice);
        let endpoints = own
            .iter()
            .map(|endpoint| proto::endpoint_to_proto(endpoint, bound(&endpoint.claim)));
        Ok(Response::new(v1::ListEndpointsResponse {
            endpoints: endpoints.collect(),
        }))
    }

    async fn release(
        &self,
        request: Request<v1::ReleaseRequest>,
    ) -> Result<Response<v1::ReleaseResponse>, Status> {
        let caller = self.caller(&request).await?;
        let name: EndpointName = request
            .into_inner()
            .name
            .parse()
            .map_err(ControlError::invalid)?;
        self.core.release(&caller, &name, now()).await?;
        Ok(Response::new(v1::ReleaseResponse {}))
    }
}
