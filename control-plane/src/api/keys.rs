//! The signing keys' public halves and times.

use proto::v1;
use tonic::{Request, Response, Status};

use super::{Api, now};
use crate::{core::Action, error::ControlError};

#[tonic::async_trait]
impl v1::keys_server::Keys for Api {
    async fn list(
        &self,
        request: Request<v1::ListKeysRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        self.caller(&request).await?;
        Ok(Response::new(self.keys()?))
    }

    async fn rotate(
        &self,
        request: Request<v1::RotateRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        let caller = self.caller(&request).await?;
        self.noted(&caller, Action::KeyRotate, "", caller.must_be_admin())
            .await?;
        self.core.add_key(&caller, now()).await?;
        Ok(Response::new(self.keys()?))
    }

    async fn retire(
        &self,
        request: Request<v1::RetireRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        let caller = self.caller(&request).await?;
        let id = &request.get_ref().id;
        self.noted(&caller, Action::KeyRetire, id, caller.must_be_admin())
            .await?;
        let kid = id.parse().map_err(ControlError::invalid)?;
        self.core.retire_key(&caller, &kid, now()).await?;
        Ok(Response::new(self.keys()?))
    }
}

impl Api {
    fn keys(&self) -> Result<v1::ListKeysResponse, ControlError> {
        let ring = self.core.keys.load();
        let keys = ring.iter().map(|(record, key)| {
            Ok(v1::SigningKey {
                id: record.kid.to_string(),
                jwk: serde_json::to_string(key.public()).map_err(ControlError::internal)?,
                published: record.published.as_secs(),
                signs_from: record.signs_from.as_secs(),
                signs_until: record.signs_until.as_secs(),
            })
        });
        Ok(v1::ListKeysResponse {
            keys: keys.collect::<Result<_, ControlError>>()?,
        })
    }
}
