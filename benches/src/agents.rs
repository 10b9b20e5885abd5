//! Many idle agents in one process, each with a name, a token and a session of its own, for the memory that the edge
//! spends on each and for the scale run.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use agent::{Agent, ControlPlane, Phase, TransportChoice, Tunnel};
use model::Kind;
use proto::v1::{self, endpoints_client::EndpointsClient};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde::Deserialize;
use tokio::{io::AsyncReadExt, sync::Semaphore, task::JoinSet};
use tonic::{Request, transport::Channel};
use tunnel::{
    Secret,
    message::{Bind, OriginProtocol},
};

use crate::problem::{Doing, Outcome, Problem};

/// Agents that connect at the same time: below what an edge takes from one address before it knows them.
const AT_ONCE: usize = 24;
/// One agent's way to its session, with all others on it.
const WITHIN: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AgentsArgs {
    /// credentials.json of a provider
    #[arg(long)]
    credentials: PathBuf,
    #[arg(long)]
    count: usize,
    /// `quic` or `tcp`
    #[arg(long, value_parser = transport)]
    transport: TransportChoice,
    /// What the names begin with
    #[arg(long, default_value = "agent")]
    name: String,
}

#[derive(Deserialize)]
struct Credentials {
    server: String,
    api_key: String,
    ca: Option<String>,
}

struct Provider {
    api_key: String,
    channel: Channel,
    roots: RootCertStore,
    locations: Vec<String>,
}

pub(crate) fn run(args: AgentsArgs) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("runtime")?;
    runtime.block_on(hold(args))
}

/// Prints `held` when all are online, and holds them until standard input ends.
async fn hold(args: AgentsArgs) -> Outcome<()> {
    let provider = Arc::new(Provider::find(&args.credentials).await?);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut opening = JoinSet::new();
    for number in 0..args.count {
        let (provider, places) = (provider.clone(), places.clone());
        let (name, transport) = (format!("{}-{number}", args.name), args.transport);
        opening.spawn(async move {
            let _place = places.acquire_owned().await.doing("a place")?;
            provider.open(&name, transport).await
        });
    }
    let mut held = Vec::with_capacity(args.count);
    while let Some(opened) = opening.join_next().await {
        held.push(opened.doing("an agent's task")??);
    }
    println!("held");
    let mut end = Vec::new();
    tokio::io::stdin()
        .read_to_end(&mut end)
        .await
        .doing("standard input")?;
    Ok(())
}

impl Provider {
    async fn find(credentials: &PathBuf) -> Outcome<Self> {
        let text = fs::read(credentials).doing("credentials.json")?;
        let found: Credentials = serde_json::from_slice(&text).doing("credentials.json")?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(found.ca.unwrap_or_default().as_bytes()) {
            roots.add(certificate.doing("the CA")?).doing("the CA")?;
        }
        let channel = agent::channel(&found.server, roots.clone()).doing("the provider")?;
        let about = v1::provider_client::ProviderClient::new(channel.clone())
            .discover(v1::DiscoverRequest {})
            .await
            .doing("ask the provider")?
            .into_inner();
        Ok(Self {
            api_key: found.api_key,
            channel,
            roots,
            locations: about.locations,
        })
    }

    /// Claims a name and holds a session that binds it.
    async fn open(&self, name: &str, transport: TransportChoice) -> Outcome<Tunnel> {
        let endpoint = self.claim(name).await?;
        let claim = endpoint.claim.parse().doing("the provider's claim")?;
        let key = Secret::from(self.api_key.clone());
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

    async fn claim(&self, name: &str) -> Outcome<v1::Endpoint> {
        let mut request = Request::new(v1::ClaimRequest {
            kind: v1::Kind::Http.into(),
            host: name.into(),
            ..v1::ClaimRequest::default()
        });
        let bearer = format!("Bearer {}", self.api_key)
            .parse()
            .doing("the API key")?;
        request.metadata_mut().insert("authorization", bearer);
        let mut endpoints = EndpointsClient::new(self.channel.clone());
        Ok(endpoints
            .claim(request)
            .await
            .doing("claim a name")?
            .into_inner())
    }
}

async fn online(tunnel: &Tunnel) -> Outcome<()> {
    let mut status = tunnel.status();
    let reached = status.wait_for(|status| matches!(status.phase, Phase::Online(_) | Phase::Ended));
    let reached = tokio::time::timeout(WITHIN, reached).await;
    let phase = reached
        .doing("wait for a session")?
        .doing("a tunnel")?
        .phase
        .clone();
    match phase {
        Phase::Online(_) => Ok(()),
        _ => Err(Problem::new(tunnel.ended().await.to_string())),
    }
}

fn transport(text: &str) -> Result<TransportChoice, String> {
    match text {
        "quic" => Ok(TransportChoice::Quic),
        "tcp" => Ok(TransportChoice::Tcp),
        _ => Err("quic or tcp".into()),
    }
}
