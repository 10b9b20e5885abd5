//! Claim, list, release.

use model::{EndpointName, Role};
use proto::v1;
use tonic::{Request, Response, Status};

use super::{Api, now};
use crate::{ClaimWish, core::Action, error::ControlError};

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
        let claimed = self.core.claim(&caller, &wish, now()).await;
        let endpoint = self
            .noted(&caller, Action::EndpointClaim, &asked.host, claimed)
            .await?;
        Ok(Response::new(proto::endpoint_to_proto(&endpoint, &[])))
    }

    async fn list(
        &self,
        request: Request<v1::ListEndpointsRequest>,
    ) -> Result<Response<v1::ListEndpointsResponse>, Status> {
        let caller = self.anyone(&request).await?;
        let (own, account) = if caller.role == Role::Agent {
            let own = self.core.endpoints_of_agent(&caller).await?;
            (own, caller.account)
        } else {
            caller.must_be_user()?;
            let account = Self::account_of(&caller, &request.get_ref().account)?;
            (self.core.endpoints_of(&account).await?.0, account)
        };
        let placements = self.core.placements(&account).await?;
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
        let released = self.core.release(&caller, &name, now()).await;
        self.noted(
            &caller,
            Action::EndpointRelease,
            &name.to_string(),
            released,
        )
        .await?;
        Ok(Response::new(v1::ReleaseResponse {}))
    }
}
