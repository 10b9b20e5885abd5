//! Which origin serves which bind, while binds come and go.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    ForwardError, OriginOptions, Target, Tunnel, TunnelError,
    forward::{self, Forwarder},
};

/// Origins by the ids of their binds. Streams that are open stay with the origin that they began with.
#[derive(Debug, Default)]
pub struct Origins(RwLock<HashMap<u32, Arc<Forwarder>>>);

impl Origins {
    /// New streams of the bind go to `target` from now on.
    pub fn set(
        &self,
        bind: u32,
        target: &Target,
        options: &OriginOptions,
    ) -> Result<(), ForwardError> {
        let forwarder = Arc::new(Forwarder::new(target, options)?);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(bind, forwarder);
        Ok(())
    }

    /// Forgets the origins of other binds; what still comes for them is refused.
    pub fn retain(&self, keep: impl Fn(u32) -> bool) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|bind, _| keep(*bind));
    }

    fn of(&self, bind: u32) -> Option<Arc<Forwarder>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&bind).cloned()
    }
}

/// Forwards each stream to the origin of its bind until the tunnel ends; that it was closed is no error.
pub async fn forward_each(tunnel: &Tunnel, origins: &Origins) -> Result<(), TunnelError> {
    forward::carry(tunnel, |bind| origins.of(bind)).await
}
