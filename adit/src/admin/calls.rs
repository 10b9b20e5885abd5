//! Calls that only administration makes.

use proto::v1::{
    self, accounts_client::AccountsClient, agents_client::AgentsClient, audit_client::AuditClient,
    backups_client::BackupsClient, consents_client::ConsentsClient, edges_client::EdgesClient,
    endpoints_client::EndpointsClient, keys_client::KeysClient, tokens_client::TokensClient,
    usage_client::UsageClient,
};
use tonic::Streaming;

use crate::{failure::Failure, share::Provider};

/// One unary call: a method of ours, the client, its method, and the messages.
macro_rules! calls {
    ($($name:ident: $client:ident.$method:ident($request:ident) -> $answer:ty;)*) => {
        impl Provider {
            $(pub(crate) async fn $name(&self, request: v1::$request) -> Result<$answer, Failure> {
                let request = self.request(request);
                self.answer($client::new(self.channel()).$method(request).await)
            })*
        }
    };
}

calls! {
    create_account: AccountsClient.create(CreateAccountRequest) -> v1::Account;
    list_accounts: AccountsClient.list(ListAccountsRequest) -> v1::ListAccountsResponse;
    get_account: AccountsClient.get(GetAccountRequest) -> v1::Account;
    delete_account: AccountsClient.delete(DeleteAccountRequest) -> v1::DeletedAccount;
    create_api_key: AccountsClient.create_api_key(CreateApiKeyRequest) -> v1::CreatedApiKey;
    list_api_keys: AccountsClient.list_api_keys(ListApiKeysRequest) -> v1::ListApiKeysResponse;
    revoke_api_key: AccountsClient.revoke_api_key(RevokeApiKeyRequest) -> v1::RevokeApiKeyResponse;
    release: EndpointsClient.release(ReleaseRequest) -> v1::ReleaseResponse;
    revoke: TokensClient.revoke(RevokeRequest) -> v1::RevokeResponse;
    create_agent: AgentsClient.create(CreateAgentRequest) -> v1::CreatedAgent;
    list_agents: AgentsClient.list(ListAgentsRequest) -> v1::ListAgentsResponse;
    revoke_agent: AgentsClient.revoke(RevokeAgentRequest) -> v1::RevokeAgentResponse;
    get_device: ConsentsClient.get_device(GetDeviceRequest) -> v1::Device;
    answer_device: ConsentsClient.answer_device(AnswerDeviceRequest) -> v1::AnswerDeviceResponse;
    list_consents: ConsentsClient.list(ListConsentsRequest) -> v1::ListConsentsResponse;
    end_consent: ConsentsClient.end(EndConsentRequest) -> v1::EndConsentResponse;
    list_edges: EdgesClient.list(ListEdgesRequest) -> v1::ListEdgesResponse;
    list_keys: KeysClient.list(ListKeysRequest) -> v1::ListKeysResponse;
    rotate_keys: KeysClient.rotate(RotateRequest) -> v1::ListKeysResponse;
    retire_key: KeysClient.retire(RetireRequest) -> v1::ListKeysResponse;
    list_audit: AuditClient.list(ListAuditRequest) -> v1::ListAuditResponse;
    follow_audit: AuditClient.follow(FollowAuditRequest) -> Streaming<v1::AuditRecord>;
    list_usage: UsageClient.list(ListUsageRequest) -> v1::ListUsageResponse;
    export: BackupsClient.export(ExportRequest) -> Streaming<v1::BackupPart>;
}

impl Provider {
    /// The next message of an answer that goes on.
    pub(super) async fn next<T>(&self, stream: &mut Streaming<T>) -> Result<Option<T>, Failure> {
        stream
            .message()
            .await
            .map_err(|status| self.failure(&status))
    }
}
