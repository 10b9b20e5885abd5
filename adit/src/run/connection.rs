//! The provider of a file: how it is reached and what it says of itself.

use std::{path::Path, sync::Arc};

use agent::{Agent, Origins, StaticToken, TokenSource};
use model::{ClaimId, Congestion};
use proto::v1;
use tunnel::Secret;

use super::{
    file::ProviderSettings,
    tokens::{ClaimTokens, FileTokens},
};
use crate::{
    cli::{ProviderArgs, Transport},
    credentials::{self, Access},
    failure::{Exit, Failure, OrFail},
    share::{self, Claimed, Located, Prepared, Provider, TunnelOptions},
};

/// Asked once; what depends on the moment is asked for each tunnel.
#[derive(Debug)]
pub(super) struct Connection {
    provider: Provider,
    access: Access,
    about: v1::DiscoverResponse,
    tokens: Tokens,
    args: ProviderArgs,
    transport: Transport,
    congestion: Congestion,
}

#[derive(Debug)]
enum Tokens {
    Claims(Arc<ClaimTokens>),
    Given(Arc<dyn TokenSource>),
}

/// A tunnel that may be bound.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) prepared: Prepared,
    pub(super) claimed: Claimed,
}

impl Connection {
    /// Flags and environment go before the file.
    pub(super) async fn open(
        settings: &ProviderSettings,
        flags: &ProviderArgs,
    ) -> Result<Self, Failure> {
        let args = ProviderArgs {
            server: flags.server.clone().or_else(|| settings.server.clone()),
            token_file: flags
                .token_file
                .clone()
                .or_else(|| settings.token_file.clone()),
            credential_file: flags
                .credential_file
                .clone()
                .or_else(|| settings.credential_file.clone()),
            ca: flags.ca.clone().or_else(|| settings.ca.clone()),
            data_dir: flags.data_dir.clone(),
        };
        let access = credentials::find(&args)?;
        let provider = Provider::connect(access.server(), access.ca(), access.api_key())?;
        let about = provider.discover().await?;
        let tokens = match (&access, &args.token_file) {
            (Access::ApiKey(kept), _) => {
                let key = Secret::from(kept.api_key.to_string());
                Tokens::Claims(Arc::new(ClaimTokens::new(provider.channel(), &key)?))
            }
            (Access::Token { .. }, Some(path)) if path.as_os_str() != "-" => {
                let tokens = FileTokens::new(path.clone());
                Tokens::Given(Arc::new(Located::new(tokens, &provider, &about.locations)))
            }
            (Access::Token { token, .. }, _) => {
                let token = Secret::from(token.expose().to_owned());
                let tokens = StaticToken::new(token);
                Tokens::Given(Arc::new(Located::new(tokens, &provider, &about.locations)))
            }
        };
        Ok(Self {
            provider,
            access,
            about,
            tokens,
            args,
            transport: settings.transport,
            congestion: settings.congestion,
        })
    }

    /// Looks at the origin and claims the name. The name of the tunnel keeps a random name, whatever becomes of its target.
    pub(super) async fn prepare(
        &self,
        name: &str,
        options: &TunnelOptions,
    ) -> Result<Ready, Failure> {
        let target = share::target(options)?;
        share::refuse_own_ports(&target, &self.about.own_ports)?;
        let prepared = share::prepare(target, options).await?;
        let remembered_as = format!("tunnel {name}");
        let claimed = share::claim(
            &self.provider,
            &self.access,
            &self.about,
            &remembered_as,
            options,
        )
        .await?;
        Ok(Ready { prepared, claimed })
    }

    pub(super) fn agent(&self, file: &Path) -> Result<Agent, Failure> {
        let tokens: Arc<dyn TokenSource> = match &self.tokens {
            Tokens::Claims(tokens) => tokens.clone(),
            Tokens::Given(tokens) => tokens.clone(),
        };
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        Agent::builder()
            .locations(self.about.locations.clone())
            .tokens(tokens)
            .roots(self.provider.roots().clone())
            .transport(self.transport.into())
            .congestion(self.congestion)
            .provider(self.provider.server())
            .state_dir(Some(share::resume_dir(&self.args)?))
            .resume_as(format!("file {}", file.display()))
            .visits(true)
            .build()
            .or_fail(Exit::Failed, "the agent cannot be set up")
    }

    pub(super) fn set_claims(&self, claims: &[ClaimId]) {
        match &self.tokens {
            Tokens::Claims(tokens) => tokens.set(claims),
            Tokens::Given(_) => {}
        }
    }

    /// Wakes when a claim is not one any more.
    pub(super) async fn doubted(&self) {
        match &self.tokens {
            Tokens::Claims(tokens) => tokens.doubted().await,
            Tokens::Given(_) => std::future::pending().await,
        }
    }
}

/// Gives streams of `bind` to what was prepared.
pub(super) fn set_origin(origins: &Origins, bind: u32, prepared: &Prepared) -> Result<(), Failure> {
    origins
        .set(bind, &prepared.target, &prepared.options)
        .or_fail(Exit::Usage, &prepared.label)
}
