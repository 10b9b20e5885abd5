//! Devices that ask for rights, and consents.

use model::ClaimId;
use proto::v1;
use tonic::{Request, Response, Status};

use super::{Api, now};
use crate::{
    Caller,
    core::{Action, WaitingDevice},
    error::{ControlError, ErrorCode},
    metrics::Hit,
    oauth::{API, TUNNEL, UserCode, What},
};

#[tonic::async_trait]
impl v1::consents_server::Consents for Api {
    async fn get_device(
        &self,
        request: Request<v1::GetDeviceRequest>,
    ) -> Result<Response<v1::Device>, Status> {
        let caller = self.caller(&request).await?;
        let device = self.device(&caller, &request.get_ref().user_code).await?;
        Ok(Response::new(to_proto(&device)))
    }

    async fn answer_device(
        &self,
        request: Request<v1::AnswerDeviceRequest>,
    ) -> Result<Response<v1::AnswerDeviceResponse>, Status> {
        let caller = self.caller(&request).await?;
        let asked = request.into_inner();
        let device = self.device(&caller, &asked.user_code).await?;
        if !asked.agree {
            self.core.deny_device(device).await?;
            return Ok(Response::new(v1::AnswerDeviceResponse::default()));
        }
        let claims: Result<Vec<ClaimId>, _> =
            asked.claims.iter().map(|claim| claim.parse()).collect();
        let claims = claims.map_err(ControlError::invalid)?;
        let agreed = self.core.agree_device(&caller, device, claims, now()).await;
        let grant = self
            .noted(&caller, Action::ConsentGive, "a device", agreed)
            .await?;
        Ok(Response::new(v1::AnswerDeviceResponse {
            grant: grant.to_string(),
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListConsentsRequest>,
    ) -> Result<Response<v1::ListConsentsResponse>, Status> {
        let caller = self.caller(&request).await?;
        let account = Self::account_of(&caller, &request.get_ref().account)?;
        let consents = self.core.consents_of(&account).await?.into_iter();
        let consents = consents.map(|(grant, consent)| v1::Consent {
            grant: grant.to_string(),
            client: consent.client,
            by: consent.by.to_string(),
            given: consent.given.as_secs(),
        });
        Ok(Response::new(v1::ListConsentsResponse {
            consents: consents.collect(),
        }))
    }

    async fn end(
        &self,
        request: Request<v1::EndConsentRequest>,
    ) -> Result<Response<v1::EndConsentResponse>, Status> {
        let caller = self.caller(&request).await?;
        let grant = &request.get_ref().grant;
        let ended = match grant.parse() {
            Ok(grant) => self.core.end_consent_of(&caller, &grant, now()).await,
            Err(error) => Err(ControlError::invalid(error)),
        };
        self.noted(&caller, Action::ConsentRevoke, grant, ended)
            .await?;
        Ok(Response::new(v1::EndConsentResponse {}))
    }
}

impl Api {
    /// The device that shows `code`. Whoever guesses is stopped long before he hits one.
    async fn device(&self, caller: &Caller, code: &str) -> Result<WaitingDevice, ControlError> {
        if !self.core.allowances.may_try_code(&caller.key, now()) {
            self.core.metrics.hit(Hit::UserCodes);
            return Err(ControlError::new(
                ErrorCode::TooMany,
                "too many codes were tried with this key: wait some minutes",
            ));
        }
        let found = match UserCode::read(code) {
            Some(code) => self.core.waiting_device(&code, now()).await?,
            None => None,
        };
        let device = found.ok_or_else(|| {
            ControlError::new(
                ErrorCode::NotFound,
                "no device waits with this code: it may be mistyped, used or older than ten minutes",
            )
        })?;
        self.core.allowances.code_was_right(&caller.key);
        Ok(device)
    }
}

fn to_proto(device: &WaitingDevice) -> v1::Device {
    let (scope, endpoints) = match &device.what {
        What::Api => (API, Vec::new()),
        What::Tunnel(wishes) => {
            let wishes = wishes.iter().map(|wish| v1::EndpointWish {
                kind: wish.kind.to_string(),
                identifier: wish.identifier.clone().unwrap_or_default(),
            });
            (TUNNEL, wishes.collect())
        }
    };
    v1::Device {
        user_code: device.code.to_string(),
        client: device.client.id().to_owned(),
        scope: scope.to_owned(),
        endpoints,
    }
}
