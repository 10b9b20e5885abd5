//! Tokens that were handed over say nothing of edges: the provider is asked where these are, again and again while it names none.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use agent::{Issued, TokenSource, TokenSourceError, TokenWhy};
use async_trait::async_trait;
use token::ProofKey;

use super::Provider;

pub(crate) struct Located<T> {
    tokens: T,
    provider: Provider,
    /// What the provider has said just now.
    known: Mutex<Vec<String>>,
}

impl<T> Located<T> {
    pub(crate) fn new(tokens: T, provider: &Provider, known: &[String]) -> Self {
        Self {
            tokens,
            provider: provider.clone(),
            known: Mutex::new(known.to_vec()),
        }
    }

    async fn locations(&self) -> Vec<String> {
        let known = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *known)
        };
        if !known.is_empty() {
            return known;
        }
        match self.provider.discover().await {
            Ok(about) => about.locations,
            Err(failure) => {
                tracing::debug!(%failure, "the provider does not say where its edges are");
                Vec::new()
            }
        }
    }
}

#[async_trait]
impl<T: TokenSource> TokenSource for Located<T> {
    async fn token(&self, why: TokenWhy) -> Result<Issued, TokenSourceError> {
        let issued = self.tokens.token(why).await?;
        Ok(Issued {
            locations: self.locations().await,
            ..issued
        })
    }

    fn key(&self) -> Option<Arc<ProofKey>> {
        self.tokens.key()
    }
}

impl<T: fmt::Debug> fmt::Debug for Located<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens.fmt(f)
    }
}
