//! Accounts and their API keys.

use model::Role;
use proto::v1;
use tonic::{Request, Response, Status};

use super::{Api, now};
use crate::{core::Account, error::ControlError};

#[tonic::async_trait]
impl v1::accounts_server::Accounts for Api {
    async fn who_am_i(
        &self,
        request: Request<v1::WhoAmIRequest>,
    ) -> Result<Response<v1::Identity>, Status> {
        let caller = self.anyone(&request).await?;
        let account = self.core.account(&caller.account).await?;
        Ok(Response::new(v1::Identity {
            account: account.id.to_string(),
            name: account.name,
            api_key: caller.key.to_string(),
            role: proto::role_to_proto(caller.role).into(),
        }))
    }

    async fn create(
        &self,
        request: Request<v1::CreateAccountRequest>,
    ) -> Result<Response<v1::Account>, Status> {
        self.caller(&request).await?.must_be_admin()?;
        let id = self
            .core
            .create_account(&request.get_ref().name, now())
            .await?;
        Ok(Response::new(self.core.account(&id).await?.into()))
    }

    async fn list(
        &self,
        request: Request<v1::ListAccountsRequest>,
    ) -> Result<Response<v1::ListAccountsResponse>, Status> {
        self.caller(&request).await?.must_be_admin()?;
        let accounts = self
            .core
            .accounts()
            .await?
            .into_iter()
            .map(Into::into)
            .collect();
        Ok(Response::new(v1::ListAccountsResponse { accounts }))
    }

    async fn create_api_key(
        &self,
        request: Request<v1::CreateApiKeyRequest>,
    ) -> Result<Response<v1::CreatedApiKey>, Status> {
        let caller = self.caller(&request).await?;
        let asked = request.into_inner();
        let account = asked.account.parse().map_err(ControlError::invalid)?;
        caller.must_own(&account)?;
        let role = proto::role_from_proto(asked.role).map_err(ControlError::invalid)?;
        match role {
            Role::Member => {}
            Role::Admin | Role::Edge => caller.must_be_admin()?,
            Role::Agent => {
                let advice = "an agent's credential is bound to endpoints: adit admin agent create";
                return Err(ControlError::invalid(advice).into());
            }
        }
        let key = self
            .core
            .create_api_key(&account, &asked.name, role, now())
            .await?;
        Ok(Response::new(v1::CreatedApiKey {
            id: key.id.to_string(),
            secret: key.secret.to_string(),
        }))
    }

    async fn revoke_api_key(
        &self,
        request: Request<v1::RevokeApiKeyRequest>,
    ) -> Result<Response<v1::RevokeApiKeyResponse>, Status> {
        let caller = self.caller(&request).await?;
        let id = request
            .into_inner()
            .id
            .parse()
            .map_err(ControlError::invalid)?;
        self.core.revoke_api_key(&caller, &id).await?;
        Ok(Response::new(v1::RevokeApiKeyResponse {}))
    }
}

impl From<Account> for v1::Account {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.to_string(),
            name: account.name,
            created: account.created.as_secs(),
        }
    }
}
