//! The calls that agents need: an account, a name, a session.

use std::{fs, path::Path, sync::Arc, time::Duration};

use agent::{Agent, ControlPlane, Phase, TransportChoice, Tunnel};
use model::Kind;
use proto::v1::{
    self, accounts_client::AccountsClient, endpoints_client::EndpointsClient,
    provider_client::ProviderClient,
};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde::Deserialize;
use tokio::sync::Mutex;
use tonic::{Request, transport::Channel};
use tunnel::{
    Secret,
    message::{Bind, OriginProtocol},
};

use crate::problem::{Doing, Outcome, Problem};

/// One agent's way to its session, with all others on it.
const WITHIN: Duration = Duration::from_secs(60);

pub(super) struct Provider {
    api_key: String,
    channel: Channel,
    roots: RootCertStore,
    locations: Vec<String>,
    /// Claims of one account at the same time get in each other's way: all of them change its count.
    claiming: Mutex<()>,
}

/// The API key of one.
#[derive(Clone)]
pub(super) struct Account(String);

/// As in docs/cli.md.
#[derive(Deserialize)]
struct Credentials {
    server: String,
    api_key: String,
    ca: Option<String>,
}

impl Provider {
    pub(super) async fn find(credentials: &Path) -> Outcome<Self> {
        let text = fs::read(credentials).doing("credentials.json")?;
        let found: Credentials = serde_json::from_slice(&text).doing("credentials.json")?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(found.ca.unwrap_or_default().as_bytes()) {
            roots.add(certificate.doing("the CA")?).doing("the CA")?;
        }
        let channel = agent::channel(&found.server, roots.clone()).doing("the provider")?;
        let about = ProviderClient::new(channel.clone())
            .discover(v1::DiscoverRequest {})
            .await;
        Ok(Self {
            api_key: found.api_key,
            channel,
            roots,
            locations: about.doing("ask the provider")?.into_inner().locations,
            claiming: Mutex::default(),
        })
    }

    pub(super) fn own(&self) -> Account {
        Account(self.api_key.clone())
    }

    /// Needs an administrator's credential.
    pub(super) async fn new_account(&self, name: &str) -> Outcome<Account> {
        let own = self.own();
        let mut accounts = AccountsClient::new(self.channel.clone());
        let wish = v1::CreateAccountRequest { name: name.into() };
        let made = accounts.create(own.asks(wish)?).await;
        let wish = v1::CreateApiKeyRequest {
            account: made.doing("make an account")?.into_inner().id,
            name: name.into(),
            role: v1::Role::Member.into(),
        };
        let made = accounts.create_api_key(own.asks(wish)?).await;
        Ok(Account(made.doing("make an API key")?.into_inner().secret))
    }

    /// Claims a name and holds a session that binds it.
    pub(super) async fn open(
        &self,
        account: &Account,
        name: &str,
        transport: TransportChoice,
    ) -> Outcome<Tunnel> {
        let endpoint = self.claim(account, name).await?;
        let claim = endpoint.claim.parse().doing("the provider's claim")?;
        let key = Secret::from(account.0.clone());
        // A subject of its own: an edge bounds the sessions of one.
        let tokens = ControlPlane::new(self.channel.clone(), &key, &[claim], name);
        let agent = Agent::builder()
            .locations(&self.locations)
            .tokens(Arc::new(tokens.doing("the API key")?))
            .roots(self.roots.clone())
            .transport(transport)
            .build()
            .doing("an agent")?;
        let tunnel = agent.bind(vec![Bind {
            id: 0,
            host: Some(endpoint.name.parse().doing("the provider's name")?),
            port: None,
            kind: Kind::Http,
            proto: Some(OriginProtocol::H1),
            host_header: None,
        }]);
        online(&tunnel).await?;
        Ok(tunnel)
    }

    async fn claim(&self, account: &Account, name: &str) -> Outcome<v1::Endpoint> {
        let wish = v1::ClaimRequest {
            kind: v1::Kind::Http.into(),
            host: name.into(),
            ..v1::ClaimRequest::default()
        };
        let mut endpoints = EndpointsClient::new(self.channel.clone());
        let _turn = self.claiming.lock().await;
        let claimed = endpoints.claim(account.asks(wish)?).await;
        Ok(claimed.doing("claim a name")?.into_inner())
    }
}

impl Account {
    fn asks<T>(&self, message: T) -> Outcome<Request<T>> {
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", self.0).parse().doing("the API key")?;
        request.metadata_mut().insert("authorization", bearer);
        Ok(request)
    }
}

async fn online(tunnel: &Tunnel) -> Outcome<()> {
    let mut status = tunnel.status();
    let reached = status.wait_for(|status| matches!(status.phase, Phase::Online(_) | Phase::Ended));
    let reached = tokio::time::timeout(WITHIN, reached).await;
    let reached = reached.doing("wait for a session")?;
    let phase = reached.doing("a tunnel")?.phase.clone();
    match phase {
        Phase::Online(_) => Ok(()),
        _ => Err(Problem::new(tunnel.ended().await.to_string())),
    }
}
