//! Accounts and their API keys.

use model::{AccountId, Role};
use proto::v1;
use tonic::{Request, Response, Status};

use super::{Api, count, now};
use crate::{
    Caller,
    core::{Account, Action, ListedKey},
    error::ControlError,
};

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
        let caller = self.caller(&request).await?;
        let name = &request.get_ref().name;
        self.noted(&caller, Action::AccountCreate, name, caller.must_be_admin())
            .await?;
        let id = self.core.add_account(Some(&caller), name, now()).await?;
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

    async fn get(
        &self,
        request: Request<v1::GetAccountRequest>,
    ) -> Result<Response<v1::Account>, Status> {
        let caller = self.caller(&request).await?;
        let account = Self::account_of(&caller, &request.get_ref().account)?;
        Ok(Response::new(self.core.account(&account).await?.into()))
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteAccountRequest>,
    ) -> Result<Response<v1::DeletedAccount>, Status> {
        let caller = self.caller(&request).await?;
        let asked = &request.get_ref().account;
        self.noted(
            &caller,
            Action::AccountDelete,
            asked,
            caller.must_be_admin(),
        )
        .await?;
        let account = asked.parse().map_err(ControlError::invalid)?;
        let deleted = self.core.delete_account(&caller, &account, now()).await?;
        Ok(Response::new(v1::DeletedAccount {
            endpoints: count(deleted.endpoints),
            keys: count(deleted.keys),
        }))
    }

    async fn list_api_keys(
        &self,
        request: Request<v1::ListApiKeysRequest>,
    ) -> Result<Response<v1::ListApiKeysResponse>, Status> {
        let caller = self.caller(&request).await?;
        let account = Self::account_of(&caller, &request.get_ref().account)?;
        let keys = self.core.api_keys_of(&account).await?;
        Ok(Response::new(v1::ListApiKeysResponse {
            keys: keys.into_iter().map(Into::into).collect(),
        }))
    }

    async fn create_api_key(
        &self,
        request: Request<v1::CreateApiKeyRequest>,
    ) -> Result<Response<v1::CreatedApiKey>, Status> {
        let caller = self.caller(&request).await?;
        let asked = request.into_inner();
        let account = asked.account.parse().map_err(ControlError::invalid)?;
        let role = proto::role_from_proto(asked.role).map_err(ControlError::invalid)?;
        let allowed = may_create(&caller, &account, role);
        self.noted(&caller, Action::ApiKeyCreate, role.as_str(), allowed)
            .await?;
        let key = self
            .core
            .add_api_key(Some(&caller), &account, &asked.name, role, now())
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
        let revoked = self.core.revoke_api_key(&caller, &id, now()).await;
        self.noted(&caller, Action::ApiKeyRevoke, id.as_str(), revoked)
            .await?;
        Ok(Response::new(v1::RevokeApiKeyResponse {}))
    }
}

fn may_create(caller: &Caller, account: &AccountId, role: Role) -> Result<(), ControlError> {
    caller.must_own(account)?;
    match role {
        Role::Member => Ok(()),
        Role::Admin | Role::Edge => caller.must_be_admin(),
        Role::Agent => Err(ControlError::invalid(
            "an agent's credential is bound to endpoints: adit admin agent create",
        )),
    }
}

impl From<ListedKey> for v1::ApiKey {
    fn from(key: ListedKey) -> Self {
        Self {
            id: key.id.to_string(),
            account: key.account.to_string(),
            name: key.name,
            role: proto::role_to_proto(key.role).into(),
            created: key.created.as_secs(),
        }
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
